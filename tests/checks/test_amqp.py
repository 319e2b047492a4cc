"""The AMQP checks against a real RabbitMQ, and against brokers that misbehave."""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Any

import pytest

import lifesigns
from tests import services
from tests.servers import misbehaving
from tests.services import wait_until
from tests.services.rabbitmq import PASSWORD, STRANGER, USER, VHOST

WITHIN = 2.0  # seconds that a check of a broker that misbehaves is given


def run(spec: dict[str, Any], timeout: float) -> Any:
    engine = lifesigns.Engine()
    engine.register("amqp", spec, timeout=timeout)
    result = engine.check("amqp", refresh=True)
    for secret in (PASSWORD, "hunter2"):
        assert secret not in str(result)
    return result


def check(broker: Any, *, timeout: float = 10.0, **fields: Any) -> Any:
    where = {} if "url" in fields else {"host": broker.host, "port": broker.port}
    login = {} if "url" in fields else {"username": USER, "password": PASSWORD, "vhost": VHOST}
    return run({"kind": "amqp", **where, **login, **fields}, timeout)


def pending(*servers: Any, queues: list[str], timeout: float = 10.0, **fields: Any) -> Any:
    return run({"kind": "amqp_pending_tasks", "servers": list(servers), "queues": queues, **fields}, timeout)


def assert_error(result: Any, error_type: str, *words: str) -> None:
    assert (result["status"], result.get("error_type")) == ("error", error_type), result
    for word in words:
        assert word in result["message"]


def connections(broker: services.RabbitMq) -> int:
    return len(broker.api("connections"))


# --- healthy -------------------------------------------------------------------------------------------------------


def test_amqp_connected(rabbitmq: services.RabbitMq) -> None:
    result = check(rabbitmq)
    assert result["status"] == "healthy", result
    assert result["message"] == f"Connected to {rabbitmq.host}:{rabbitmq.port}"
    version = result["details"].pop("broker_version")
    assert version.split(".")[0].isdecimal()
    assert result["details"] == {
        "broker": rabbitmq.host,
        "port": rabbitmq.port,
        "vhost": VHOST,
        "connection_test": "passed",
    }


@pytest.mark.parametrize("vhost", ["/", VHOST])
def test_amqp_url(rabbitmq: services.RabbitMq, vhost: str) -> None:
    result = check(rabbitmq, url=rabbitmq.url(vhost))
    assert (result["status"], result["details"]["vhost"]) == ("healthy", vhost), result


def test_amqp_queues_counted(rabbitmq: services.RabbitMq) -> None:
    names = [f"counted_{number}" for number in range(70)]
    for name in names[::2]:
        rabbitmq.declare(name)
    rabbitmq.declare(names[0], messages=3)
    result = check(rabbitmq, queues=names)
    assert result["status"] == "healthy", result
    assert result["details"]["queues"][names[0]] == {"messages": 3, "consumers": 0}
    assert result["details"]["queues"][names[1]] == {"state": "missing"}
    assert result["details"]["missing_queues"] == names[1::2]
    result = check(rabbitmq, queues=names[:2], missing_queue="error")
    assert (result["status"], result["message"].endswith(f"has no queue {names[1]}")) == ("error", True)


def test_amqp_message_is_returned(rabbitmq: services.RabbitMq) -> None:
    result = check(rabbitmq, publish=True, queues=["missing"])
    assert (result["status"], result["details"]["publish_test"]) == ("healthy", "passed"), result


def test_amqp_what_is_not_permitted_is_a_detail(rabbitmq: services.RabbitMq) -> None:
    rabbitmq.declare("hidden")
    result = check(rabbitmq, username=STRANGER, publish=True, queues=["hidden"])
    assert (result["status"], result["details"]["publish_test"]) == ("healthy", "not permitted"), result
    assert result["details"]["queues"]["hidden"] in ({"state": "not permitted"}, {"messages": 0, "consumers": 0})


def test_amqp_connection_is_closed(rabbitmq: services.RabbitMq) -> None:
    for _ in range(5):
        assert check(rabbitmq)["status"] == "healthy"
    wait_until(lambda: connections(rabbitmq) == 0, 15, "connections stay")
    assert "closed unexpectedly" not in rabbitmq.log.read_text()


def test_amqp_tls(rabbitmq: services.RabbitMq, certificates: services.Certificates) -> None:
    tls = {"ca": str(certificates.ca)}
    assert check(rabbitmq, port=rabbitmq.tls_port, tls=tls)["status"] == "healthy"
    assert check(rabbitmq, url=rabbitmq.url(tls=True), tls=tls)["status"] == "healthy"
    assert_error(check(rabbitmq, port=rabbitmq.tls_port, tls={}), "TLSError", "unknown authority")
    plain = check(rabbitmq, port=rabbitmq.tls_port, timeout=WITHIN)
    assert plain["error_type"] in ("ProtocolError", "ConnectionResetError"), plain


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("username", "password"), [(USER, "hunter2"), ("unknown", "hunter2"), (USER, "")])
def test_amqp_wrong_credentials(rabbitmq: services.RabbitMq, username: str, password: str) -> None:
    result = check(rabbitmq, username=username, password=password)
    assert_error(result, "AuthenticationError", "wrong user name or password", "403")


def test_amqp_virtual_hosts(rabbitmq: services.RabbitMq) -> None:
    assert_error(check(rabbitmq, vhost="none"), "RequestRejectedError", 'there is no virtual host "none"')
    assert_error(check(rabbitmq, vhost="closed"), "RequestRejectedError", 'may not use the virtual host "closed"')


def external(certificates: services.Certificates) -> dict[str, Any]:
    pair = certificates.client
    tls = {"ca": str(certificates.ca), "cert": str(pair.certificate), "key": str(pair.key)}
    return {"tls": tls, "login": "external", "username": None, "password": None}


def test_amqp_login_by_certificate(rabbitmq: services.RabbitMq, certificates: services.Certificates) -> None:
    result = check(rabbitmq, port=rabbitmq.tls_port, **external(certificates))
    assert result["status"] == "healthy", result
    refused = check(rabbitmq, port=rabbitmq.tls_port, **{**external(certificates), "vhost": "closed"})
    assert_error(refused, "RequestRejectedError", "may not use the virtual host")


def test_amqp_login_that_is_not_offered(certificates: services.Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    with answers(START, tls=context) as server:
        result = check(server, **external(certificates))
    assert_error(result, "RequestRejectedError", "no login by EXTERNAL")


def test_amqp_exclusive_queue(rabbitmq: services.RabbitMq) -> None:
    amqp = pytest.importorskip("amqp")
    address = f"{rabbitmq.host}:{rabbitmq.port}"
    with amqp.Connection(address, userid=USER, password=PASSWORD, virtual_host=VHOST) as connection:
        connection.channel().queue_declare("exclusive", exclusive=True)
        result = check(rabbitmq, queues=["exclusive"])
        assert result["details"]["queues"]["exclusive"] == {"state": "exclusive to another connection"}
        refused = pending({"url": rabbitmq.url()}, queues=["exclusive"])
        assert_error(refused, "RequestRejectedError", "may not look at the queue exclusive")


def test_amqp_blocked_publishers(rabbitmq: services.RabbitMq) -> None:
    rabbitmq.control("eval", "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).")
    try:
        assert check(rabbitmq)["status"] == "healthy"
        result = check(rabbitmq, publish=True)
        assert_error(result, "UnavailableError", "blocks publishers: it is low on memory")
    finally:
        rabbitmq.control("eval", "rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
    assert check(rabbitmq, publish=True)["status"] == "healthy"


# --- pending tasks -------------------------------------------------------------------------------------------------


def test_pending_depth(rabbitmq: services.RabbitMq) -> None:
    rabbitmq.declare("deep", messages=4)
    rabbitmq.declare("empty")
    thresholds = {"degraded_above": 3, "error_above": 5}
    result = pending({"url": rabbitmq.url()}, queues=["deep", "empty", "none"], thresholds=thresholds)
    assert result["status"] == "degraded", result
    message = "4 tasks pending in 3 queues, at most 4 in one; no worker consumes the queue deep"
    assert result["message"] == message
    assert result["details"] == {
        "total_pending": 4,
        "max_queue_depth": 4,
        "queue_count": 3,
        "queue_breakdown": {"deep": 4, "empty": 0, "none": 0},
        "oldest_pending_seconds": None,
        "consumers": {"deep": 0, "empty": 0, "none": 0},
        "missing_queues": ["none"],
        "taken_tasks": None,
        "unacked_count": None,
    }


def test_pending_taken_by_the_management_plugin(rabbitmq: services.RabbitMq) -> None:
    amqp = pytest.importorskip("amqp")
    rabbitmq.declare("taken", messages=3)
    address = f"{rabbitmq.host}:{rabbitmq.port}"
    with amqp.Connection(address, userid=USER, password=PASSWORD, virtual_host=VHOST) as connection:
        channel = connection.channel()
        channel.basic_qos(0, 2, False)
        channel.basic_consume("taken", callback=lambda message: None)

        def details() -> Any:
            url = rabbitmq.management_url
            return pending({"url": rabbitmq.url()}, queues=["taken"], management_url=url)["details"]

        # The plugin counts once a second.
        wait_until(lambda: details()["taken_tasks"] == 2, 15, "not counted")
        assert (details()["total_pending"], details()["consumers"]) == (1, {"taken": 1})


def test_pending_without_the_management_plugin_says_so(rabbitmq: services.RabbitMq) -> None:
    port = misbehaving.refused_port()
    url = f"http://app:hunter2@127.0.0.1:{port}"
    result = pending({"url": rabbitmq.url()}, queues=["none"], management_url=url)
    assert result["status"] == "healthy"
    assert result["details"]["management_error"] == f"http://127.0.0.1:{port} refused the connection"
    with misbehaving.silent() as silent:
        url = f"http://{silent.host}:{silent.port}"
        result = pending({"url": rabbitmq.url()}, queues=["none"], management_url=url, timeout=WITHIN)
    assert result["status"] == "healthy"
    assert "Timed out" in result["details"]["management_error"]


def test_pending_next_broker_where_the_first_is_down(rabbitmq: services.RabbitMq) -> None:
    down = {"url": f"amqp://u:hunter2@127.0.0.1:{misbehaving.refused_port()}"}
    up = {"url": rabbitmq.url()}
    assert pending(down, up, queues=["none"])["status"] == "healthy"
    with misbehaving.silent() as silent:
        hangs = {"url": f"amqp://u:hunter2@{silent.host}:{silent.port}"}
        assert pending(hangs, up, queues=["none"], timeout=5)["status"] == "healthy"
        assert check(silent, url=hangs["url"], fallbacks=[down, up], timeout=5)["status"] == "healthy"
    refused = pending(down, {"url": rabbitmq.url(password="hunter2")}, queues=["none"])
    assert_error(refused, "AuthenticationError", f"{rabbitmq.host}:{rabbitmq.port}")


# --- brokers that misbehave ----------------------------------------------------------------------------------------


def method(class_id: int, method_id: int, arguments: bytes = b"", channel: int = 0) -> bytes:
    payload = struct.pack("!HH", class_id, method_id) + arguments
    return b"\x01" + struct.pack("!HI", channel, len(payload)) + payload + b"\xce"


START = method(10, 10, b"\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US")
TUNE = method(10, 30, struct.pack("!HIH", 0, 0, 60))
OPEN_OK = method(10, 41, b"\0")


def close(code: int, text: bytes = b"hunter2") -> bytes:
    return method(10, 50, struct.pack("!HB", code, len(text)) + text + b"\0\0\0\0")


def answers(*frames: bytes, tls: ssl.SSLContext | None = None) -> misbehaving.MisbehavingServer:
    """Answers each write of the client with the next of these; closes after an empty one."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for frame in frames:
            await reader.read(4096)
            if not frame:
                return
            writer.write(frame)
            await writer.drain()
        while await reader.read(4096):
            pass

    return misbehaving.MisbehavingServer(behave, tls=tls)


@pytest.mark.parametrize(
    ("mode", "error_type", "said"),
    [
        (lambda: answers(START, b""), "AuthenticationError", "wrong user name or password?"),
        (lambda: answers(START, close(403)), "AuthenticationError", "403"),
        (lambda: answers(START, TUNE, close(530, b"vhost x not found")), "RequestRejectedError", "no virtual host"),
        (lambda: answers(START, TUNE, close(320)), "UnavailableError", "closes connections"),
        (lambda: answers(START, TUNE, b""), "ConnectionResetError", "closed the connection"),
        (lambda: answers(START, TUNE, OPEN_OK, method(10, 60, b"\x0blow on disk")), "UnavailableError", "disk"),
        (
            lambda: answers(START, TUNE, OPEN_OK, method(20, 40, b"\x01\xf6\0\0\0\0\0", 1)),
            "RequestRejectedError",
            "502",
        ),
        (lambda: answers(START, TUNE, OPEN_OK, method(50, 11, b"\0" * 9, 9)), "ProtocolError", "AMQP"),
        (lambda: answers(START, method(10, 20, b"\0\0\0\0")), "RequestRejectedError", "PLAIN"),
        (lambda: answers(START, START), "ProtocolError", "AMQP 0-9-1"),
        (lambda: answers(b"AMQP\0\x01\0\0"), "ProtocolError", "it offers AMQP 1.0"),
        (lambda: answers(b"AMQP\x01\x01\0\x0a"), "ProtocolError", "AMQP 1-0-10"),
        (lambda: answers(START + b"\x08\0\0\0\0\0\0\xce" * 200_000), "ResponseTooLargeError", "bytes"),
        (lambda: answers(b"\x01\0\0\x7f\xff\xff\xff"), "ResponseTooLargeError", "bytes"),
        (lambda: answers(START), "TimeoutError", "during the login"),
        (misbehaving.silent, "TimeoutError", "waiting for the greeting"),
        (misbehaving.full_backlog, "TimeoutError", "connecting"),
        (misbehaving.closes, "ConnectionResetError", "closed"),
        (misbehaving.resets, "ConnectionResetError", "closed"),
        (lambda: misbehaving.resets(9, greeting=START), "ConnectionResetError", "during the login"),
        (misbehaving.garbage, "ProtocolError", "AMQP"),
        (misbehaving.banner, "ProtocolError", "AMQP"),
        (misbehaving.flood, "ProtocolError", "AMQP"),
        (lambda: misbehaving.flood(b"\x01\0\0\0\xff\xff\xff"), "ResponseTooLargeError", "bytes"),
        (lambda: misbehaving.drip(b"\x01\0\0\0\0\xff\xff", interval=0.1), "TimeoutError", "waiting for the greeting"),
    ],
)
def test_amqp_broker_that_misbehaves(mode: Any, error_type: str, said: str) -> None:
    with mode() as server:
        result = check(server, queues=["q"], timeout=WITHIN)
        assert_error(result, error_type, said)
        assert result["duration_ms"] < (WITHIN + 1.5) * 1000


@pytest.mark.parametrize("kind", ["amqp", "amqp_pending_tasks"])
def test_amqp_broker_that_does_not_answer_the_close(kind: str) -> None:
    counted = method(20, 11, b"\0\0\0\0", 1) + method(50, 11, b"\1q" + struct.pack("!II", 7, 1), 1)
    with answers(START, TUNE, OPEN_OK, counted) as server:
        where = {"host": server.host, "port": server.port}
        servers = where if kind == "amqp" else {"servers": [where]}
        result = run({"kind": kind, "queues": ["q"], **servers}, 10.0)
    assert result["status"] == "healthy", result
    assert result["duration_ms"] < 5000


def test_amqp_connect_refused_and_unknown_names() -> None:
    port = misbehaving.refused_port()
    assert_error(run({"kind": "amqp", "host": "127.0.0.1", "port": port}, 5), "ConnectionRefusedError", str(port))
    assert_error(run({"kind": "amqp", "host": "does-not-exist.invalid"}, 5), "NameResolutionError")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "host"),
        ({"url": "http://h"}, "amqp://"),
        ({"url": "amqp://u:hunter2#@h"}, "%-encoded"),
        ({"host": "h", "port": 0}, "port"),
        ({"host": "h", "queues": ["a", "a"]}, "twice"),
        ({"host": "h", "missing_queue": "ignored"}, "missing_queue"),
        ({"host": "h", "fallbacks": [{"url": "amqp://u:hunter2@"}]}, "fallbacks|url"),
        ({"host": "h", "heartbeat": 5}, "heartbeat"),
    ],
)
def test_amqp_wrong_specification(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        lifesigns.Engine().register("amqp", {"kind": "amqp", **fields})
    assert "hunter2" not in str(caught.value)
