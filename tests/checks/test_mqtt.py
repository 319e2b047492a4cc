"""The MQTT check against a real broker, and against brokers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import lifesigns
from tests import services
from tests.servers import misbehaving
from tests.services.mosquitto import PASSWORD, USER

PROTOCOLS = ("3.1.1", "5")
WITHIN = 2.0  # seconds that a check of a broker that misbehaves is given


class Configured(services.Mosquitto):
    """A broker of one test, with some lines of configuration of its own."""

    def __init__(self, *lines: str, acl: str | None = None, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self.lines = lines
        self.acl = acl

    def prepare(self) -> None:
        super().prepare()
        lines = list(self.lines)
        if self.acl is not None:
            path = self.directory / "acl"
            path.write_text(f"user {USER}\n{self.acl}\n")
            lines.append(f"acl_file {path}")
        with self.configuration.open("a") as configuration:
            configuration.writelines(f"{line}\n" for line in lines)

    def connect(self, user: str = USER, password: str = PASSWORD) -> int:
        """As the fixture's own, with an identifier."""
        with hold(self, user, password):
            return 0


@pytest.fixture(scope="module")
def broker() -> Iterator[Configured]:
    with Configured() as broker:
        yield broker


@pytest.fixture(scope="module")
def secure() -> Iterator[Configured]:
    with Configured(tls=True) as broker:
        yield broker


def check(broker: Any, *, timeout: float = 5.0, **fields: Any) -> Any:
    spec = {"kind": "mqtt", "host": broker.host, "port": broker.port, "username": USER, "password": PASSWORD, **fields}
    engine = lifesigns.Engine()
    engine.register("mqtt", spec, timeout=timeout)
    result = engine.check("mqtt", refresh=True)
    for secret in (PASSWORD, "hunter2"):
        assert secret not in str(result)
    return result


def assert_error(result: Any, error_type: str, *words: str) -> None:
    assert (result["status"], result["error_type"]) == ("error", error_type), result
    for word in words:
        assert word in result["message"]


# --- healthy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mqtt__accepted(broker: Configured, protocol: str) -> None:
    result = check(broker, protocol=protocol)
    assert result["status"] == "healthy", result
    assert result["details"] == {
        "broker": broker.host,
        "port": broker.port,
        "connection_test": "passed",
        "return_code": 0,
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("topic", ["lifesigns", "lifesigns/", "a/b/ü"])
def test_mqtt__round_trip(broker: Configured, protocol: str, topic: str) -> None:
    result = check(broker, protocol=protocol, round_trip_topic=topic)
    assert result["status"] == "healthy", result
    assert result["details"]["round_trip"] == "passed"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mqtt__tls(secure: Configured, certificates: services.Certificates, protocol: str) -> None:
    tls = {"ca": str(certificates.ca)}
    result = check(secure, port=secure.tls_port, tls=tls, protocol=protocol, round_trip_topic="lifesigns")
    assert result["status"] == "healthy", result
    assert check(secure, port=secure.tls_port, tls={"verify": "nothing"})["status"] == "healthy"


def test_mqtt__many_at_once_stay_connected(broker: Configured) -> None:
    engine = lifesigns.Engine()
    for number in range(20):
        spec = {"kind": "mqtt", "host": broker.host, "port": broker.port, "username": USER, "password": PASSWORD}
        engine.register(f"mqtt{number}", {**spec, "round_trip_topic": "lifesigns"})
    for _ in range(3):
        assert engine.run(refresh=True)["status"] == "healthy"


def test_mqtt__restarted_broker(certificates: services.Certificates) -> None:
    with Configured() as broker:
        assert check(broker)["status"] == "healthy"
        broker.stop()
        assert_error(check(broker), "ConnectionRefusedError", f"{broker.host}:{broker.port}")
        broker.start()
        assert check(broker)["status"] == "healthy"


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "code"), [("3.1.1", 5), ("5", 135)])
@pytest.mark.parametrize(("username", "password"), [(USER, "hunter2"), ("unknown", "hunter2"), (None, None)])
def test_mqtt__wrong_credentials(
    broker: Configured, protocol: str, code: int, username: str | None, password: str | None
) -> None:
    result = check(broker, protocol=protocol, username=username, password=password)
    assert_error(result, "AuthenticationError", "not authorized", f"return code {code}")


def test_mqtt__tls_unknown_authority(secure: Configured) -> None:
    assert_error(check(secure, port=secure.tls_port, tls={}), "TLSError")


def test_mqtt__tls_against_a_plain_listener(broker: Configured) -> None:
    assert check(broker, tls={}, timeout=WITHIN)["error_type"] in ("TLSError", "ConnectionResetError")


def test_mqtt__plain_against_a_tls_listener(secure: Configured) -> None:
    result = check(secure, port=secure.tls_port, timeout=WITHIN)
    assert result["error_type"] in ("ProtocolError", "ConnectionResetError"), result


def test_mqtt__full_broker_closes() -> None:
    # It takes one more than configured.
    with Configured("max_connections 1") as broker, hold(broker), hold(broker):
        assert_error(check(broker), "ConnectionResetError", "closed the connection")


def hold(broker: services.Mosquitto, user: str = USER, password: str = PASSWORD) -> socket.socket:
    """A client of the broker that stays."""
    connection = socket.create_connection((broker.host, broker.port))
    fields = (uuid.uuid4().hex, user, password)
    texts = b"".join(len(field).to_bytes(2, "big") + field.encode() for field in fields)
    variable = b"\0\4MQTT\4\xc2\0\x3c" + texts
    connection.sendall(bytes([0x10, len(variable)]) + variable)
    assert connection.recv(4)[3] == 0
    return connection


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mqtt__broker_that_wants_identifiers(broker: Configured, protocol: str) -> None:
    with Configured("allow_zero_length_clientid false") as strict:
        assert check(strict, protocol=protocol)["status"] == "healthy"


def test_mqtt__round_trip_without_the_right_to_publish() -> None:
    with Configured(acl="topic read #") as broker:
        assert check(broker)["status"] == "healthy"
        result = check(broker, protocol="5", round_trip_topic="lifesigns")
        assert_error(result, "RequestRejectedError", "publishing")
        # MQTT 3.1.1 has no word for it: the message is lost.
        assert_error(check(broker, round_trip_topic="lifesigns", timeout=0.5), "TimeoutError", "answer")


# --- brokers that misbehave ----------------------------------------------------------------------------------------

SUBACK = {"3.1.1": b"\x90\x03\x00\x01\x00", "5": b"\x90\x04\x00\x01\x00\x00"}
CONNACK = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}


def answers(*packets: bytes, received: list[bytes] | None = None) -> misbehaving.MisbehavingServer:
    """Answers each packet of the client with the next of these; appends what it received to `received`."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (*packets, b""):
            header = await reader.readexactly(2)
            packet = header + await reader.readexactly(header[1])
            if received is not None:
                received.append(packet)
            writer.write(answer)
            await writer.drain()
        await reader.read()

    return misbehaving.MisbehavingServer(behave)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mqtt__ends_with_disconnect(protocol: str) -> None:
    received: list[bytes] = []
    with answers(CONNACK[protocol], received=received) as server:
        assert check(server, protocol=protocol)["status"] == "healthy"
        services.wait_until(lambda: server.active == 0, 5, "still connected")
    connect, disconnect = received
    assert connect[9] == 0xC2  # user name, password, clean session
    assert b"\x00\x17lifesigns" in connect  # with 14 digits more
    assert disconnect == b"\xe0\x00"


@pytest.mark.parametrize(
    ("protocol", "code", "error_type"),
    [
        ("3.1.1", 1, "RequestRejectedError"),
        ("3.1.1", 2, "RequestRejectedError"),
        ("3.1.1", 3, "UnavailableError"),
        ("3.1.1", 4, "AuthenticationError"),
        ("3.1.1", 5, "AuthenticationError"),
        ("3.1.1", 99, "RequestRejectedError"),
        ("5", 1, "RequestRejectedError"),
        ("5", 0x80, "RequestRejectedError"),
        ("5", 0x84, "RequestRejectedError"),
        ("5", 0x86, "AuthenticationError"),
        ("5", 0x87, "AuthenticationError"),
        ("5", 0x88, "UnavailableError"),
        ("5", 0x89, "UnavailableError"),
        ("5", 0x9F, "UnavailableError"),
        ("5", 0xFE, "RequestRejectedError"),
    ],
)
def test_mqtt__return_codes(protocol: str, code: int, error_type: str) -> None:
    # A broker that knows no MQTT 5 answers in the form of 3.1.1.
    short = protocol == "3.1.1" or code < 0x80
    with answers(bytes([0x20, 2, 0, code]) if short else bytes([0x20, 3, 0, code, 0])) as server:
        assert_error(check(server, protocol=protocol), error_type, f"return code {code}")


@pytest.mark.parametrize(
    ("protocol", "packets", "error_type"),
    [
        ("3.1.1", [b"\x90\x03\x00\x01\x80"], "RequestRejectedError"),
        ("5", [b"\x90\x04\x00\x01\x00\x87"], "RequestRejectedError"),
        ("5", [b"\xe0\x01\x8b"], "UnavailableError"),
        ("5", [b"\xe0\x02\x87\x00"], "AuthenticationError"),
        ("5", [SUBACK["5"], b"\x40\x03\x00\x01\x87"], "RequestRejectedError"),
        ("3.1.1", [SUBACK["3.1.1"], b"\x40\x02\x00\x01"], "TimeoutError"),
        ("3.1.1", [SUBACK["3.1.1"], b"\x30\x07\x00\x05other"], "TimeoutError"),
        ("3.1.1", [b"\x00\x00"], "ProtocolError"),
        ("5", [b"\x90\x00"], "ProtocolError"),
        ("5", [SUBACK["5"], b"\x3f\x02\x00\x00"], "ProtocolError"),
        ("3.1.1", [b"\xd0\x00" * 200_000], "ResponseTooLargeError"),
    ],
)
def test_mqtt__round_trip_that_fails(protocol: str, packets: list[bytes], error_type: str) -> None:
    with answers(CONNACK[protocol], *packets) as server:
        result = check(server, protocol=protocol, round_trip_topic="lifesigns", timeout=1.0)
        assert_error(result, error_type)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("mode", "error_type"),
    [
        (misbehaving.silent, "TimeoutError"),
        (misbehaving.full_backlog, "TimeoutError"),
        (misbehaving.closes, "ConnectionResetError"),
        (misbehaving.resets, "ConnectionResetError"),
        (lambda: misbehaving.resets(10), "ConnectionResetError"),
        (misbehaving.garbage, "ProtocolError"),
        (misbehaving.banner, "ProtocolError"),
        (misbehaving.drip, "ProtocolError"),
        (lambda: misbehaving.drip(greeting=b"\x20\x7f", interval=0.1), "TimeoutError"),
        (misbehaving.flood, "ProtocolError"),
        (lambda: misbehaving.flood(b"\x20\xff\xff\x7f"), "ResponseTooLargeError"),
        (lambda: misbehaving.flood(b"\x20\xff\xff\xff\xff"), "ProtocolError"),
        (lambda: answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "ProtocolError"),
        (lambda: answers(b"\x20\x00"), "ProtocolError"),
        (lambda: answers(b"\x20\x05\x00\x00\x09\x09\x09"), "ProtocolError"),
        (lambda: answers(b"\xd0\x00"), "ProtocolError"),
        (lambda: misbehaving.resets(20, greeting=b"\x20\x03"), "ConnectionResetError"),
    ],
)
def test_mqtt__broker_that_misbehaves(mode: Any, error_type: str, protocol: str) -> None:
    with mode() as server:
        result = check(server, protocol=protocol, timeout=WITHIN)
        assert_error(result, error_type)
        assert result["duration_ms"] < (WITHIN + 1.5) * 1000


def test_mqtt__suspended_broker() -> None:
    with Configured() as broker:
        broker.suspend()
        result = check(broker, timeout=0.3)
        assert_error(result, "TimeoutError")
        assert result["timeout_seconds"] == 0.3
        broker.resume()
        assert check(broker)["status"] == "healthy"


def test_mqtt__connect_refused_and_unknown_names(broker: Configured) -> None:
    assert_error(check(broker, port=misbehaving.refused_port()), "ConnectionRefusedError")
    assert_error(check(broker, host="does-not-exist.invalid"), "NameResolutionError", "does-not-exist.invalid")


# --- wrong specifications ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "host"),
        ({"host": ""}, "host"),
        ({"host": "h", "port": 0}, "port"),
        ({"host": "h", "port": 70_000}, "70000|port"),
        ({"host": "h", "password": "hunter2"}, "username"),
        ({"host": "h", "protocol": "4"}, "3.1.1"),
        ({"host": "h", "round_trip_topic": "a/#"}, "round_trip_topic"),
        ({"host": "h", "topic": "a"}, "round_trip_topic"),
    ],
)
def test_mqtt__wrong_specification(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        lifesigns.Engine().register("mqtt", {"kind": "mqtt", **fields})
    assert "hunter2" not in str(caught.value)
