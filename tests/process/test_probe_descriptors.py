"""The probe server leaves the application its descriptors, however many connections clients open."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from lifesigns import Engine
from tests.process.probes import Script, answers, connect, fetch
from tests.services import free_port, wait_until

LIMIT = 256
APPLICATION = """
import os
import lifesigns

lifesigns.serve(os.environ["PROBES"], application="shop")

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""
SERVERS = {
    "gunicorn": ("gunicorn", "application:wsgi", "--workers", "1", "--bind", "127.0.0.1:{}", "--no-control-socket"),
    "uvicorn": ("uvicorn", "application:asgi", "--lifespan", "off", "--port", "{}", "--log-level", "warning"),
}


@contextmanager
def application(directory: Path, command: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The URL of an application with 256 descriptors, and the address of its probe server."""
    (directory / "application.py").write_text(APPLICATION)
    port, probes = free_port(), f"127.0.0.1:{free_port()}"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port) for word in command)],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(directory), "PROBES": probes},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)),
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until(lambda: is_served(url) and answers(probes), 30, (directory / "log").read_text())
        yield url, probes
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def is_served(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
        return bool(response.read() == b"ok")
    return False


@pytest.mark.services
@pytest.mark.parametrize("server", SERVERS)
def test_idle_connections__application_answers_all_along(server: str, tmp_path: Path) -> None:
    with application(tmp_path, SERVERS[server]) as (url, probes), ExitStack() as stack:
        for number in range(1_000):
            stack.enter_context(connect(probes))
            if number % 50 == 0:
                assert is_served(url)
        started = time.monotonic()
        while time.monotonic() - started < 3:
            assert is_served(url)
            assert fetch(probes, "/alive", timeout=2).code == 200
            time.sleep(0.02)


SERVER = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
servers = [engine.serve("127.0.0.1:0") for _ in range(2)]
say(*(server.address for server in servers))
input()
spare = []
while True:
    try:
        spare.append(os.dup(0))
    except OSError:
        break
say("none left")
input()
"""


def sockets(pid: int) -> int:
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            count += os.readlink(entry).startswith("socket:")
    return count


def test_limit__counts_all_servers_of_a_process() -> None:
    with Script(SERVER) as server, ExitStack() as stack:
        addresses = server.line().split()
        before = sockets(server.process.pid)
        for _ in range(150):
            for address in addresses:
                stack.enter_context(connect(address))
        assert all(answers(address) for address in addresses)
        assert sockets(server.process.pid) - before <= LIMIT // 4 + 4


def test_no_descriptors__connection_idle_for_longest_makes_room() -> None:
    with Script(SERVER) as server, ExitStack() as stack:
        address, _ = server.line().split()
        kept = [stack.enter_context(connect(address)) for _ in range(3)]
        for connection in kept:
            connection.sendall(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        server.send_line()
        assert server.line() == "none left"
        started = time.monotonic()
        assert answers(address)
        assert time.monotonic() - started < 10
        assert kept[0].recv(1) == b""


def test_connection_without_request__is_closed_after_two_seconds() -> None:
    with Engine().serve("127.0.0.1:0") as server, connect(server.address) as idle, connect(server.address) as kept:
        kept.sendall(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert idle.recv(1) == b""
        assert 1.5 < time.monotonic() - started < 4
        kept.sendall(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")


def test_draining__kept_connections_are_closed() -> None:
    script = "say(engine.serve('127.0.0.1:0').address); input(); lifesigns.drain(); input()"
    with Script(script) as server:
        with connect(server.line()) as kept:
            kept.sendall(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(4096).startswith(b"HTTP/1.1 200")
            server.send_line()
            started = time.monotonic()
            assert kept.recv(1) == b""
            assert time.monotonic() - started < 10
        server.finish()
