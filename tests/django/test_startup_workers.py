"""`/startup/` of several workers: one truth for all of a host, until all of them have ended."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import ROOT
from tests.django.serving import GUNICORN, Server, answers, send_request, serving
from tests.process.probes import fetch
from tests.services import free_port, wait_until

pytestmark = pytest.mark.services

# A critical check that passes while a file is there, and each worker's own number.
MODULE = """
import os
from pathlib import Path

def is_open():
    return Path({gate!r}).exists()
"""
SHARED: dict[str, Any] = {}
ALONE: dict[str, Any] = {"SHARE": "process"}


class Gate:
    """A project whose critical check passes while the gate is open."""

    def __init__(self, folder: Path, lifesigns: dict[str, Any]) -> None:
        self.file = folder / "gate"
        self.folder = folder
        (folder / "gated.py").write_text(MODULE.format(gate=str(self.file)))
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "db.sqlite3"),
            "OPTIONS": {"timeout": 20},
        }
        self.settings: dict[str, Any] = {
            "DATABASES": {"default": database},
            "LIFESIGNS": {
                "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
                "CHECKS": {"gate": {"check": "gated.is_open", "ttl": 0.05}},
                **lifesigns,
            },
        }

    @contextmanager
    def served(self, *more: str) -> Iterator[Server]:
        path = os.pathsep.join(map(str, (ROOT, ROOT / "examples/demo", self.folder)))
        with serving((*GUNICORN, *more), self.folder, self.settings, PYTHONPATH=path) as server:
            wait_until(lambda: answers(server.port), 60, server.log)
            yield server

    def open(self) -> None:
        self.file.touch()

    def close(self) -> None:
        self.file.unlink(missing_ok=True)


@contextmanager
def alone(worker: int, server: Server) -> Iterator[None]:
    """That worker answers all requests: the others are stopped."""
    others = [pid for pid in server.workers() if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def startup(server: Server) -> tuple[int, str]:
    code, _, body = send_request(server.port, "/startup/", host="localhost")
    return code, json.loads(body)["status"]


def startup_of(worker: int, server: Server) -> tuple[int, str]:
    """What that worker says, once it has read its migrations."""
    with alone(worker, server):
        wait_until(lambda: "migrations_applied" in send_request(server.port, "/startup/", host="localhost")[2], 60)
        found = startup(server)
        if found[0] == 503:  # its migrations may be pending still
            wait_until(lambda: _are_migrated(server), 60, server.log)
            found = startup(server)
        return found


def _are_migrated(server: Server) -> bool:
    checks = json.loads(send_request(server.port, "/startup/", host="localhost")[2])["checks"]
    return bool(checks["migrations_applied"]["status"] == "healthy")


STARTED, STARTING = (200, "started"), (503, "starting")


@pytest.mark.parametrize("count", [2, 4])
def test_workers_of_a_host_agree_until_all_have_ended(count: int, tmp_path: Path) -> None:
    gate = Gate(tmp_path, SHARED)
    with gate.served("--workers", str(count)) as server:
        wait_until(lambda: len(server.workers()) == count, 60, server.log)
        first, *others = server.workers()
        assert {startup_of(worker, server) for worker in (first, others[0])} == {STARTING}
        gate.open()
        with alone(first, server):
            wait_until(lambda: startup(server) == STARTED, 60, server.log)
        gate.close()
        wait_until(lambda: send_request(server.port, "/ready/", host="localhost")[0] == 503, 60)
        assert {startup_of(worker, server) for worker in others} == {STARTED}
        # Another takes the place of the one in which they have passed.
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == count and first not in server.workers(), 60, server.log)
        [new] = {*server.workers()} - {*others}
        assert startup_of(new, server) == STARTED
    with gate.served("--workers", str(count)) as server:
        wait_until(lambda: len(server.workers()) == count, 60, server.log)
        assert {startup_of(worker, server) for worker in server.workers()} == {STARTING}
        gate.open()
        wait_until(lambda: startup(server) == STARTED, 60, server.log)


def test_workers_that_share_nothing_start_each_by_itself(tmp_path: Path) -> None:
    gate = Gate(tmp_path, ALONE)
    with gate.served("--workers", "2") as server:
        wait_until(lambda: len(server.workers()) == 2, 60, server.log)
        first, other = server.workers()
        gate.open()
        with alone(first, server):
            wait_until(lambda: startup(server) == STARTED, 60, server.log)
        gate.close()
        assert startup_of(other, server) == STARTING
        with alone(first, server):
            assert startup(server) == STARTED


def test_probe_server_says_the_same_as_the_workers(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    gate = Gate(tmp_path, {"PROBE_SERVER": address})
    gate.open()
    with gate.served("--workers", "2") as server:
        wait_until(lambda: startup(server) == STARTED, 60, server.log)
        gate.close()
        wait_until(lambda: fetch(address, "/ready").code == 503, 60, server.log)
        # One that starts while the other is stopped cannot share its address.
        wait_until(lambda: len(server.listening(address)) == 2, 60, server.log)
        # Whichever of the two answers; each reads its migrations first.
        wait_until(lambda: [fetch(address, "/startup").code for _ in range(10)] == [200] * 10, 60, server.log)
        assert {startup_of(worker, server) for worker in server.workers()} == {STARTED}
