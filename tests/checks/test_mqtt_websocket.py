"""The MQTT check over websockets, and with application protocols, against a real broker and servers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests import services
from tests.checks.test_mqtt import PROTOCOLS, assert_error, check
from tests.servers import misbehaving
from tests.services.mosquitto import USER

WITHIN = 2.0
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(scope="module")
def broker() -> Iterator[services.Mosquitto]:
    with services.Mosquitto(tls=True, websockets=True) as broker:
        yield broker


def over_websocket(broker: Any, **fields: Any) -> Any:
    port = getattr(broker, "websockets_port", None) or broker.port
    return check(broker, **{"port": port, "transport": "websockets", **fields})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_websocket_accepted(broker: services.Mosquitto, protocol: str) -> None:
    result = over_websocket(broker, protocol=protocol, round_trip_topic="lifesigns")
    assert result["status"] == "healthy", result
    assert result["details"] == {
        "broker": broker.host,
        "port": broker.websockets_port,
        "connection_test": "passed",
        "return_code": 0,
        "round_trip": "passed",
    }


def test_websocket_encrypted(broker: services.Mosquitto, certificates: services.Certificates) -> None:
    tls = {"ca": str(certificates.ca)}
    result = over_websocket(broker, port=broker.websockets_tls_port, tls=tls, round_trip_topic="lifesigns")
    assert result["status"] == "healthy", result
    assert_error(over_websocket(broker, port=broker.websockets_tls_port, tls={}), "TLSError")


def test_websocket_wrong_credentials(broker: services.Mosquitto) -> None:
    result = over_websocket(broker, username=USER, password="hunter2")
    assert_error(result, "AuthenticationError", "return code 5")


def test_websocket_at_a_plain_listener(broker: services.Mosquitto) -> None:
    result = over_websocket(broker, port=broker.port, timeout=WITHIN)
    assert result["error_type"] in ("ProtocolError", "ConnectionResetError"), result


def test_plain_at_a_websocket_listener(broker: services.Mosquitto) -> None:
    result = check(broker, port=broker.websockets_port, timeout=WITHIN)
    assert result["error_type"] in ("ProtocolError", "ConnectionResetError"), result


def answers(status: str, *frames: bytes, requests: list[str] | None = None) -> misbehaving.MisbehavingServer:
    """Answers the handshake with a status, and each message with the next of these bytes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        if requests is not None:
            requests.append(request)
        key = next(line.partition(": ")[2] for line in request.splitlines() if line.startswith("Sec-WebSocket-Key"))
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        head = (
            f"HTTP/1.1 {status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        writer.write(head.encode())
        for frame in frames:
            await reader.readexactly(1)
            writer.write(frame)
            await writer.drain()
        await reader.read()

    return misbehaving.MisbehavingServer(behave)


OPEN = "101 Switching Protocols"


def test_websocket_connack_in_several_frames() -> None:
    with answers(OPEN, b"\x89\x00\x02\x02\x20\x02\x80\x02\x00\x00") as server:
        assert over_websocket(server)["status"] == "healthy"


@pytest.mark.parametrize(("path", "sent"), [(None, "/mqtt"), ("/a?signature=hunter2", "/a?signature=hunter2")])
def test_websocket_path_is_requested_and_never_shown(path: str | None, sent: str) -> None:
    requests: list[str] = []
    with answers("404 Not Found", requests=requests) as server:
        result = over_websocket(server, path=path)
        assert_error(result, "RequestRejectedError", "no WebSocket at this path", "404")
    [request] = requests
    assert request.startswith(f"GET {sent} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n")
    assert "\r\nSec-WebSocket-Protocol: mqtt\r\n" in request


@pytest.mark.parametrize(
    ("mode", "error_type"),
    [
        (lambda: answers("401 Unauthorized"), "AuthenticationError"),
        (lambda: answers("503 Service Unavailable"), "UnavailableError"),
        (lambda: answers(OPEN, b"\x88\x00"), "ConnectionResetError"),
        (lambda: answers(OPEN, b"\x81\x02\x20\x02"), "ProtocolError"),
        (lambda: answers(OPEN, b"\x82\x82aaaa\x20\x02"), "ProtocolError"),
        (lambda: answers(OPEN, b"\x82\x7f" + b"\x01" * 8), "ResponseTooLargeError"),
        (lambda: answers(OPEN, b"\x82\x02\x00\x00"), "ProtocolError"),
        (lambda: answers(OPEN), "TimeoutError"),
        (lambda: answers(OPEN, b"\x89\x00" * 200_000), "ResponseTooLargeError"),
        (misbehaving.silent, "TimeoutError"),
        (misbehaving.closes, "ConnectionResetError"),
        (misbehaving.resets, "ConnectionResetError"),
        (misbehaving.garbage, "ProtocolError"),
        (misbehaving.banner, "ProtocolError"),
        (misbehaving.flood, "ProtocolError"),
        (lambda: misbehaving.flood(b"HTTP/1.1 101 OK\r\nX: "), "ProtocolError"),
        (lambda: misbehaving.drip(b"a", greeting=b"HTTP/1.1 101 OK\r\nX: ", interval=0.1), "TimeoutError"),
    ],
)
def test_websocket_server_that_misbehaves(mode: Any, error_type: str) -> None:
    with mode() as server:
        # What is found out takes as long as the machine needs, what is not ends with the timeout.
        timeout = WITHIN if error_type == "TimeoutError" else 10 * WITHIN
        assert_error(over_websocket(server, timeout=timeout), error_type)


@pytest.mark.parametrize(("alpn", "status"), [(["x-amzn-mqtt-ca"], "healthy"), (["http/1.1"], "error")])
def test_alpn_is_offered(certificates: services.Certificates, alpn: list[str], status: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As AWS IoT on port 443: what is no MQTT is closed.
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "x-amzn-mqtt-ca":
            await reader.readexactly(1)
            writer.write(b"\x20\x02\x00\x00")
            await reader.read()

    with misbehaving.MisbehavingServer(behave, tls=context) as server:
        tls = {"ca": str(certificates.ca)}
        assert check(server, tls=tls, alpn=alpn, timeout=WITHIN)["status"] == status
