"""The gRPC check against real servers, and against servers that speak something else."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from lifesigns import Engine
from tests.servers import misbehaving
from tests.servers.misbehaving import MisbehavingServer
from tests.services import Certificates, Grpc, HttpApis, Mosquitto
from tests.services.grpc import TOKEN

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
HEADERS_FRAME = 1


def probe(port: int, service: str = "", *, timeout: float = 5.0, **fields: Any) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("grpc", {"kind": "grpc", "host": "localhost", "port": port, "service": service, **fields})
    result = dict(engine.check("grpc", refresh=True))
    text = json.dumps(result)
    assert "secret-of-the-server" not in text
    assert TOKEN not in text
    return result


@pytest.mark.parametrize(
    ("service", "details"),
    [
        ("", {"serving_status": "SERVING"}),
        ("up.Service", {"serving_status": "SERVING", "service": "up.Service"}),
    ],
)
def test_serving_healthy(grpc_server: Grpc, service: str, details: dict[str, Any]) -> None:
    result = probe(grpc_server.port, service)
    assert result["status"] == "healthy", result
    assert result["details"] == details


@pytest.mark.parametrize(
    ("service", "message", "status"),
    [
        ("down.Service", "{} is not serving", "NOT_SERVING"),
        ("odd.Service", "{} does not know whether it is serving", "UNKNOWN"),
        ("no.Service", "{} is not a service whose health the server knows", None),
    ],
)
def test_not_serving_error(grpc_server: Grpc, service: str, message: str, status: str | None) -> None:
    result = probe(grpc_server.port, service)
    assert result["status"] == "error", result
    assert result["message"] == message.format(f"{service} at localhost:{grpc_server.port}")
    assert result["details"].get("serving_status") == status or result["details"]["grpc_status"] == "NOT_FOUND"
    assert result["details"]["service"] == service


@pytest.mark.parametrize(
    ("service", "error_type", "code"),
    [
        ("unavailable.Service", "UnavailableError", "UNAVAILABLE"),
        ("exhausted.Service", "UnavailableError", "RESOURCE_EXHAUSTED"),
        ("forbidden.Service", "RequestRejectedError", "PERMISSION_DENIED"),
    ],
)
def test_call_that_fails_by_its_code(grpc_server: Grpc, service: str, error_type: str, code: str) -> None:
    result = probe(grpc_server.port, service)
    assert result["error_type"] == error_type, result
    assert result["details"] == {"grpc_status": code}


@pytest.mark.parametrize(("timeout", "status"), [(2.0, "healthy"), (30.0, "error")])
def test_deadline_is_sent(grpc_server: Grpc, timeout: float, status: str) -> None:
    assert probe(grpc_server.port, "deadline.Service", timeout=timeout)["status"] == status


def test_server_without_health_service() -> None:
    with Grpc(has_health=False) as server:
        result = probe(server.port)
    assert result["error_type"] == "RequestRejectedError", result
    assert result["message"].endswith("it has no health service (gRPC status UNIMPLEMENTED)")


def test_metadata_is_sent() -> None:
    with Grpc(protected=True) as server:
        assert probe(server.port)["error_type"] == "AuthenticationError"
        assert probe(server.port, metadata={"Authorization": TOKEN})["status"] == "healthy"


def test_tls(certificates: Certificates) -> None:
    with Grpc(tls=True) as server:
        trusted = probe(server.port, tls={"ca": str(certificates.ca)})
        assert trusted["status"] == "healthy", trusted
        untrusted = probe(server.port, tls={"ca": str(certificates.stranger.certificate)})
        assert untrusted["error_type"] == "TLSError", untrusted
        assert probe(server.port)["status"] == "error"
        plain = probe(server.port, timeout=1.0)
        assert plain["error_type"] in ("ConnectionResetError", "ProtocolError"), plain


def test_tls_of_a_server_without_tls(grpc_server: Grpc, certificates: Certificates) -> None:
    result = probe(grpc_server.port, tls={"ca": str(certificates.ca)}, timeout=2.0)
    assert result["error_type"] in ("TLSError", "ConnectionResetError"), result


def test_server_goes_and_comes_back() -> None:
    with Grpc() as own:
        assert probe(own.port)["status"] == "healthy"
        own.suspend()
        assert probe(own.port, timeout=0.5)["error_type"] == "TimeoutError"
        own.resume()
        assert probe(own.port)["status"] == "healthy"
        own.kill()
        assert probe(own.port)["error_type"] == "ConnectionRefusedError"
        own.start()
        assert probe(own.port)["status"] == "healthy"


def test_servers_of_other_protocols(http_apis: HttpApis, mosquitto: Mosquitto) -> None:
    for port in (http_apis.port, mosquitto.port):
        result = probe(port, timeout=2.0)
        assert result["error_type"] in ("ProtocolError", "ConnectionResetError"), result


HTTP_1 = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("after", [1, len(PREFACE), len(PREFACE) + 9])
def test_server_of_http_1_by_its_answer_whenever_it_hangs_up(after: int) -> None:
    with misbehaving.resets(after, greeting=HTTP_1) as server:
        results = [probe(server.port) for _ in range(20)]
    found = {(result["error_type"], result["message"]) for result in results}
    assert found == {("ProtocolError", f"localhost:{server.port} does not speak HTTP/2")}


def answering(answer: bytes, *, closes: bool = False) -> MisbehavingServer:
    """Answers the first request."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(PREFACE))
        writer.write(SETTINGS)
        # What is said of a stream that there is not yet is a fault of another kind.
        kind = None
        while kind != HEADERS_FRAME:
            head = await reader.readexactly(9)
            kind = head[3]
            await reader.readexactly(int.from_bytes(head[:3], "big"))
        writer.write(answer)
        if not closes:
            while await reader.read(1024):
                pass

    return MisbehavingServer(behave)


def flooding(frames: bytes) -> MisbehavingServer:
    """Answers the first request with these frames, over and over."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(PREFACE))
        writer.write(SETTINGS)
        while True:
            writer.write(frames * 1000)
            await writer.drain()

    return MisbehavingServer(behave)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# `:status 200` from HPACK's static table, and a content type that is spelled out.
HEADERS = frame(1, 4, 1, b"\x88" + b"\x0f\x10\x10application/grpc")
MISBEHAVING: dict[str, tuple[Any, tuple[str, ...]]] = {
    "silent": (misbehaving.silent, ("TimeoutError",)),
    "closes": (misbehaving.closes, ("ConnectionResetError", "ProtocolError")),
    "resets": (misbehaving.resets, ("ConnectionResetError",)),
    "garbage": (misbehaving.garbage, ("ProtocolError",)),
    "banner": (misbehaving.banner, ("ProtocolError",)),
    "flood": (lambda: misbehaving.flood(SETTINGS), ("ProtocolError", "ResponseTooLargeError")),
    "endless frames": (lambda: flooding(SETTINGS + frame(8, 0, 0, b"\0\0\0\1")), ("ResponseTooLargeError",)),
    "settings only": (lambda: answering(b""), ("TimeoutError",)),
    "goes away": (lambda: answering(frame(7, 0, 0, bytes(8)), closes=True), ("ConnectionResetError",)),
    "stream refused": (lambda: answering(frame(3, 0, 1, b"\0\0\0\7")), ("UnavailableError",)),
    "no trailers": (lambda: answering(HEADERS + frame(0, 1, 1, b"\0\0\0\0\2\x08\1")), ("ProtocolError",)),
    "endless message": (
        lambda: answering(HEADERS + frame(0, 0, 1, bytes(8000))),
        ("ResponseTooLargeError",),
    ),
}


@pytest.mark.parametrize("mode", MISBEHAVING)
def test_misbehaving_server(mode: str) -> None:
    make, error_types = MISBEHAVING[mode]
    with make() as server:
        result = probe(server.port, timeout=0.5 if error_types == ("TimeoutError",) else 5.0)
    assert result["status"] == "error", result
    assert result["error_type"] in error_types, result
    assert result["duration_ms"] < 4000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": ""}, "host must not be empty"),
        ({"port": 0}, "port must be from 1 to 65535, not 0"),
        ({"service": "two words"}, "service must be the full name of a service, such as shop.v1.Orders"),
        ({"metadata": {"te": TOKEN}}, 'metadata: "te" is reserved for gRPC itself'),
        ({"metadata": {"key": f"{TOKEN}\n"}}, 'metadata["key"] holds characters that an HTTP header cannot carry'),
    ],
)
def test_wrong_specification_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        Engine().register("grpc", {"kind": "grpc", "host": "h", "port": 1, **fields})
    assert TOKEN not in str(raised.value)
