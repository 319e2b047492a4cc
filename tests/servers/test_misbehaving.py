"""Each misbehaving server misbehaves as it says."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.servers import misbehaving
from tests.services import wait_until

ANSWER_SECONDS = 10
SILENCE_SECONDS = 0.2


def connect(server: misbehaving.MisbehavingServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), ANSWER_SECONDS)


def says_nothing(client: socket.socket) -> bool:
    client.settimeout(SILENCE_SECONDS)
    with suppress(TimeoutError):
        client.recv(1)
        return False
    client.settimeout(ANSWER_SECONDS)
    return True


@pytest.mark.parametrize("mode", misbehaving.MODES)
def test_mode__counts_and_ends_with_clients_connected(mode: str) -> None:
    with ExitStack() as clients, misbehaving.MODES[mode]() as server:
        for _ in range(2):
            with suppress(ConnectionResetError):  # as soon as that, by `resets`
                clients.enter_context(connect(server))
        wait_until(lambda: server.connections == 2)


def test_silent__says_nothing() -> None:
    with misbehaving.silent() as server, connect(server) as client:
        client.sendall(b"hello")
        assert says_nothing(client)


def test_closes__at_once() -> None:
    with misbehaving.closes() as server, connect(server) as client:
        assert client.recv(1) == b""


def test_resets__after_bytes() -> None:
    with misbehaving.resets(4, greeting=b"hi") as server, connect(server) as client:
        assert client.recv(2) == b"hi"
        client.sendall(b"123")
        assert says_nothing(client)
        client.sendall(b"4")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_garbage__is_no_text() -> None:
    with misbehaving.garbage() as server, connect(server) as client, pytest.raises(UnicodeDecodeError):
        client.recv(4096).decode()


def test_banner__is_another_protocol() -> None:
    with misbehaving.banner() as server, connect(server) as client:
        assert client.recv(4096).startswith(b"SSH-2.0-")


def test_drip__byte_by_byte() -> None:
    with misbehaving.drip(b"ab", greeting=b"start", interval=0.01) as server, connect(server) as client:
        received = b""
        while len(received) < 10:
            received += client.recv(1)
        assert received == b"startababa"


def test_flood__stops_when_the_client_leaves() -> None:
    with misbehaving.flood(b"start") as server:
        with connect(server) as client, client.makefile("rb") as reader:
            assert reader.read(5) == b"start"
            assert reader.read(1 << 20) == bytes(1 << 20)
        wait_until(lambda: server.active == 0, message="it still sends")


def test_http_huge__has_a_valid_header() -> None:
    with misbehaving.http_huge() as server, httpx.stream("GET", f"http://127.0.0.1:{server.port}/") as response:
        assert response.headers["Content-Type"] == "application/json"
        assert len(next(response.iter_bytes(1 << 20))) == 1 << 20


def test_http_redirects__for_ever() -> None:
    with (
        misbehaving.http_redirects() as server,
        httpx.Client(follow_redirects=True, max_redirects=50) as client,
        pytest.raises(httpx.TooManyRedirects),
    ):
        client.get(f"http://127.0.0.1:{server.port}/")


def test_full_backlog__connects_hang() -> None:
    with misbehaving.full_backlog() as server, pytest.raises(TimeoutError):
        socket.create_connection((server.host, server.port), SILENCE_SECONDS)


def test_refused_port__refuses() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", misbehaving.refused_port()), ANSWER_SECONDS)
