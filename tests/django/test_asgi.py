"""Requests that wait for a dependency under ASGI: they hold no thread, and none waits longer than its budget."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.django.serving import UVICORN, Server, answers, serving
from tests.services import wait_until
from tests.services.processes import tree

# Starts servers: not for the interpreters of the test matrix.
pytestmark = pytest.mark.services

WAITING = 60
# The engine's own, of which some start with the first checks, and those of the server.
HANDFUL = 8
TIMEOUT = 4
TTL = 0.2
READY_BUDGET = 3
WRAPPED = """
import django_lifesigns
from demo.asgi import application

application = django_lifesigns.probes(application)
"""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield listener.getsockname()[1]


@contextmanager
def project(kind: str, folder: Path, port: int, **more: Any) -> Iterator[Server]:
    """The demo project under uvicorn, with a critical check of that port; by the middleware or by `probes()`."""
    silent = {"check": {"kind": "http", "url": f"http://127.0.0.1:{port}/"}, "timeout": TIMEOUT, "ttl": TTL}
    settings: dict[str, Any] = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        "LIFESIGNS": {
            "READY_BUDGET": READY_BUDGET,
            "NETWORKS": [],  # the demo's own would make every caller known
            "CHECKS": {"silent": silent},
            "DISABLED": ["disk_space", "memory_usage"],
        },
        **more,
    }
    command: tuple[str, ...] = UVICORN
    if kind == "wrapped":
        (folder / "wrapped.py").write_text(WRAPPED)
        settings["MIDDLEWARE"] = []
        command = tuple("wrapped:application" if word == "demo.asgi:application" else word for word in UVICORN)
    with serving(command, folder, settings) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        yield server


def threads(server: Server) -> int:
    """How many threads the server has."""
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in tree(server.process.pid))


def send(port: int, path: str, cookie: str = "") -> socket.socket:
    """Send a request on a connection of its own, and wait for nothing."""
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"GET {path} HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n"
    client.sendall(head.encode())
    return client


def receive(client: socket.socket) -> tuple[int, Any]:
    """The code and the body of the answer."""
    received = b"".join(iter(lambda: client.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)


@pytest.mark.parametrize("kind", ["middleware", "wrapped"])
@pytest.mark.parametrize(
    ("path", "budget"), [("/health/", TIMEOUT), ("/health/silent/", TIMEOUT), ("/ready/", READY_BUDGET)]
)
def test_waiting_requests__hold_no_thread(
    tmp_path: Path, silent_port: int, kind: str, path: str, budget: float
) -> None:
    with project(kind, tmp_path, silent_port) as server, ExitStack() as stack:
        # Whatever starts with the first request has started then; the check itself is not awaited.
        receive(stack.enter_context(send(server.port, "/ready/")))
        idle = threads(server)
        wait_until(lambda: run_has_ended(server.port), 60)
        time.sleep(2 * TTL)
        started = time.monotonic()
        clients = [stack.enter_context(send(server.port, path)) for _ in range(WAITING)]
        # Django itself gives each request a thread for a moment, before its middleware.
        time.sleep(budget / 3)
        wait_until(lambda: threads(server) <= idle + HANDFUL, budget / 3, "waiting requests hold threads")
        found = [receive(client) for client in clients]
        took = time.monotonic() - started
        assert {code for code, _ in found} == {503}
        # One run for all, and a margin for a busy machine.
        assert took < budget + 3
        # `/ready/` need not wait where a critical check is known to fail.
        assert path == "/ready/" or took > budget / 2
        wait_until(lambda: threads(server) <= idle + HANDFUL, 60, "threads are left")


def run_has_ended(port: int) -> bool:
    with send(port, "/health/silent/") as client:
        _, body = receive(client)
    return not body.get("pending")


def test_event_loop__answers_while_others_wait(tmp_path: Path, silent_port: int) -> None:
    with project("middleware", tmp_path, silent_port) as server, ExitStack() as stack:
        receive(stack.enter_context(send(server.port, "/alive/")))
        clients = [stack.enter_context(send(server.port, "/health/")) for _ in range(WAITING)]
        slowest = 0.0
        for _ in range(20):
            started = time.monotonic()
            with send(server.port, "/alive/") as client:
                assert receive(client)[0] == 200
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < TIMEOUT / 2
        assert {receive(client)[0] for client in clients} == {503}


def test_sessions__in_a_cache_that_hangs_delay_no_request(tmp_path: Path, silent_port: int) -> None:
    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://127.0.0.1:{silent_port}/1"}
    settings = {"CACHES": {"default": cache}, "SESSION_ENGINE": "django.contrib.sessions.backends.cache"}
    with project("middleware", tmp_path, silent_port, **settings) as server:
        path = "/health/database_connectivity/"
        with send(server.port, path) as client:
            assert receive(client)[0] == 200
        started = time.monotonic()
        for number in range(10):
            with send(server.port, path, f"sessionid={number:032}") as client:
                assert receive(client)[0] == 200
        # The first waits for half a second, for the answer of the cache.
        assert 0.4 < time.monotonic() - started < 5
