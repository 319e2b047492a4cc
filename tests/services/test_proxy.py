"""The proxy counts, delays, holds back and cuts off what passes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.services import HttpApis, Proxy, wait_until

REQUEST = b"GET /_requests HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def proxy(http_apis: HttpApis) -> Iterator[Proxy]:
    with Proxy(http_apis.host, http_apis.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((proxy.host, proxy.port), 5) as connection:
        yield connection


def test_counts(proxy: Proxy, client: socket.socket) -> None:
    received = 0
    for _ in range(3):
        client.sendall(REQUEST)
        received += len(client.recv(4096))
    assert proxy.round_trips == 3
    assert proxy.bytes_up == 3 * len(REQUEST)
    assert proxy.bytes_down == received
    assert (proxy.connections, proxy.open_connections) == (1, 1)
    client.close()
    wait_until(lambda: proxy.open_connections == 0, message="the connection stays")


def test_pipelined__one_round_trip(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(REQUEST * 5)
    answers = b""
    while answers.count(b"HTTP/1.1 200") < 5:
        answers += client.recv(65_536)
    assert proxy.round_trips == 1


def test_delay__each_way(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay(0.1)
    started = time.monotonic()
    client.sendall(REQUEST)
    client.recv(4096)
    assert time.monotonic() - started >= 0.2


def test_drop__then_resume(proxy: Proxy, client: socket.socket) -> None:
    proxy.drop()
    with socket.create_connection((proxy.host, proxy.port), 5) as late:
        for connection in (client, late):
            connection.sendall(REQUEST)
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        proxy.resume()
        for connection in (client, late):
            connection.settimeout(5)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_drop_answers__requests_arrive(proxy: Proxy, client: socket.socket) -> None:
    proxy.drop_answers()
    client.sendall(REQUEST)
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    wait_until(lambda: proxy.bytes_down > 0, message="the server has not answered")
    proxy.resume()
    client.settimeout(5)
    assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_cut__resets(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(REQUEST)
    client.recv(4096)
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection((proxy.host, proxy.port), 5) as new:
        new.sendall(REQUEST)
        assert new.recv(1)


def test_close__gives_the_port_back(proxy: Proxy, client: socket.socket) -> None:
    proxy.close()
    with pytest.raises(ConnectionError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.host, proxy.port), 5)


def test_half_closed__still_answers(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    client.shutdown(socket.SHUT_WR)
    answer = b""
    while data := client.recv(4096):
        answer += data
    assert answer.startswith(b"HTTP/1.1 200")


def test_bulk__passes_unharmed() -> None:
    data = bytes(range(256)) * 131_072  # 32 MiB, more than may be held back
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Proxy("127.0.0.1", listener.getsockname()[1]) as proxy,
        socket.create_connection((proxy.host, proxy.port), 10) as client,
    ):
        server, _ = listener.accept()
        with server, server.makefile("rb") as reader:
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):  # no client reads: it must not take all of it
                client.sendall(data * 4)
            taken = proxy.bytes_up
            assert taken < len(data)
            assert reader.read(taken) == (data * 2)[:taken]
