"""Several hosts of a fleet on one machine: each has a store of its own, and all have one Redis."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.process.host import ROOT
from tests.services.redis import Redis


class Process:
    """A process of one host (see `worker`)."""

    def __init__(self, directory: Path, host: str, **options: Any) -> None:
        arguments = [str(directory), json.dumps({"host": host, **options})]
        command = [sys.executable, "-W", "error", "-m", "tests.fleet.worker", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, expression: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def evaluate(self, expression: str) -> Any:
        self.send(expression)
        return self.receive()

    def run(self, check: str = "paid") -> dict[str, Any]:
        """Return the result of a check, run where it is not fresh."""
        return dict(self.evaluate(f"engine.check({check!r})"))

    def fleet(self) -> dict[str, Any]:
        return dict(self.evaluate("engine.fleet()"))

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


class Hosts:
    """The processes of a test, by host."""

    def __init__(self, directory: Path, fleet: dict[str, Any]) -> None:
        self.directory, self.fleet = directory, fleet
        self.processes: list[Process] = []

    def start(self, *hosts: str, **options: Any) -> list[Process]:
        """Start a process on each of these hosts; they are started when this returns."""
        started = [Process(self.directory, host, fleet=self.fleet, **options) for host in hosts]
        self.processes += started
        assert [process.receive() for process in started] == ["started"] * len(started)
        return started

    def runs(self) -> list[tuple[float, str, int]]:
        """Return when, on which host and in which process the check of the fleet ran."""
        path = self.directory / "runs"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(at), host, int(pid)) for at, host, pid in (line.split() for line in lines)]


@contextmanager
def hosts(directory: Path, redis: Redis, **fleet: Any) -> Iterator[Hosts]:
    """Give hosts that meet in `redis`, and end their processes."""
    found = Hosts(directory, {"url": redis.url, **fleet})
    try:
        yield found
    finally:
        for process in found.processes:
            process.close()
