"""The connections of HTTP checks: which are kept, what may come over them, and what is said of one that fails."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine
from tests.servers import misbehaving
from tests.servers.misbehaving import MisbehavingServer
from tests.services import HttpApis, Proxy, wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KIB = 1024


def probe(port: int, *, scheme: str = "http", timeout: float = 5.0) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("http", {"kind": "http", "url": f"{scheme}://127.0.0.1:{port}/"})
    return dict(engine.check("http", refresh=True))


def test_concurrent_checks_of_one_server_have_a_connection_each_and_one_is_kept(http_apis: HttpApis) -> None:
    with Proxy(http_apis.host, http_apis.port) as proxy:
        base = f"http://127.0.0.1:{proxy.port}"
        engine = Engine(default_timeout=5.0)
        engine.register("openai", {"kind": "openai", "api_key": http_apis.openai_key, "base_url": f"{base}/openai/v1"})
        engine.register(
            "anthropic", {"kind": "anthropic", "api_key": http_apis.anthropic_key, "base_url": f"{base}/anthropic"}
        )
        http_apis.control(delay=0.5)
        try:
            for connections in (2, 3):
                assert engine.run(refresh=True)["status"] == "healthy"
                assert proxy.connections == connections
                wait_until(lambda: proxy.open_connections == 1, 10)
        finally:
            http_apis.control()
        for _ in range(3):
            assert engine.check("openai", refresh=True)["status"] == "healthy"
            assert engine.check("anthropic", refresh=True)["status"] == "healthy"
        assert proxy.connections == 3


def test_close_connections_closes_the_kept_one(http_apis: HttpApis) -> None:
    with Proxy(http_apis.host, http_apis.port) as proxy:
        assert probe(proxy.port)["message"].endswith("HTTP status 404 instead of 200")
        assert proxy.open_connections == 1
        lifesigns.close_connections()
        wait_until(lambda: proxy.open_connections == 0, 10)


def test_farewell_on_an_idle_connection_is_no_answer() -> None:
    """Load balancers send a 408 before they close an idle connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with MisbehavingServer(behave) as server:
        for connections in (1, 2, 3):
            assert probe(server.port)["status"] == "healthy"
            assert server.connections == connections
            wait_until(lambda: server.active == 0, 10)


def test_answer_before_the_request_is_complete() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(OK)
        while await reader.read(KIB):
            pass

    with MisbehavingServer(behave) as server:
        assert probe(server.port)["status"] == "healthy"


def test_answer_with_a_large_head_says_so() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"x" * 65 * KIB + b"\r\n\r\n")
        await reader.read()

    with MisbehavingServer(behave) as server:
        result = probe(server.port)
        head = f"the head of the answer of http://127.0.0.1:{server.port} is too large"
        assert result["message"] == f"{head}: more than 65536 bytes or 100 fields"


FLOODS: dict[str, tuple[Callable[[], Iterator[bytes]], str]] = {
    "a header without end": (lambda: itertools.repeat(b"x" * KIB), "ResponseTooLargeError"),
    "headers without end": (lambda: (b"X-%d: y\r\n" % number for number in itertools.count()), "ResponseTooLargeError"),
    "interim answers without end": (
        lambda: itertools.repeat(b"\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y" * 100),
        "ResponseTooLargeError",
    ),
    "chunks of a byte without end": (
        lambda: itertools.chain([b"y\r\nTransfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1\r\nx\r\n" * 1000)),
        "ResponseTooLargeError",
    ),
    "extensions of a chunk without end": (
        lambda: itertools.chain([b"y\r\nTransfer-Encoding: chunked\r\n\r\n1;"], itertools.repeat(b"x" * KIB)),
        "ProtocolError",
    ),
    "trailers without end": (
        lambda: itertools.chain([b"y\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"], itertools.repeat(b"X: y\r\n" * 100)),
        "ProtocolError",
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_flood_is_not_read_to_its_end(flood: str) -> None:
    chunks, error_type = FLOODS[flood]
    written = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nX: " if "interim" in flood else b"HTTP/1.1 200 OK\r\nX: ")
        for chunk in chunks():
            writer.write(chunk)
            written += len(chunk)
            await writer.drain()

    with MisbehavingServer(behave) as server:
        result = probe(server.port, timeout=100.0)
        wait_until(lambda: server.active == 0, 10, "the connection stays open")
    assert result["error_type"] == error_type, result
    # What it read, and what the sockets of both sides hold.
    assert written < 32 * KIB * KIB


@pytest.mark.parametrize(
    ("scheme", "make", "doing"),
    [
        ("http", misbehaving.full_backlog, "while connecting"),
        ("https", misbehaving.full_backlog, "while connecting"),
        ("https", misbehaving.silent, "during the TLS handshake"),
        ("http", misbehaving.silent, "while waiting for the answer"),
    ],
)
def test_timeout_says_where_it_got_stuck(scheme: str, make: Callable[[], Any], doing: str) -> None:
    with make() as server:
        assert probe(server.port, scheme=scheme, timeout=0.5)["message"] == f"Timed out after 0.5 s ({doing})"
