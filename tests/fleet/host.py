"""Several hosts of a fleet on one machine: each has a store of its own, and all have one Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.process.host import Worker
from tests.services.redis import Redis
from tests.services.valkey import Valkey, valkey_here

on_both = pytest.mark.parametrize(
    "redis", [Redis, pytest.param(Valkey, marks=valkey_here)], indirect=True, ids=["redis", "valkey"]
)


class Process(Worker):
    """A process of one host (see `worker`)."""

    module = "tests.fleet.worker"

    @property
    def pid(self) -> int:
        return self.process.pid

    def run(self, check: str = "paid") -> dict[str, Any]:
        """Return the result of a check, run where it is not fresh."""
        return dict(self.evaluate(f"engine.check({check!r})"))

    def incidents(self, check: str = "database") -> list[dict[str, Any]]:
        """Return the incidents of a check as this host knows them."""
        return [one for one in self.evaluate("engine.incidents()") if one["check"] == check]

    def decides(self) -> bool:
        return bool(self.evaluate("engine.decides_incidents()"))

    def fleet(self) -> dict[str, Any]:
        return dict(self.evaluate("engine.fleet()"))


class Hosts:
    """The processes of a test, by host."""

    process_type: type[Process] = Process

    def __init__(self, directory: Path, fleet: dict[str, Any]) -> None:
        self.directory, self.fleet = directory, fleet
        self.processes: list[Process] = []

    def start(self, *hosts: str, **options: Any) -> list[Process]:
        """Start a process on each of these hosts; they are started when this returns."""
        started = [self.process_type(self.directory, host=host, fleet=self.fleet, **options) for host in hosts]
        self.processes += started
        assert [process.receive() for process in started] == ["started"] * len(started)
        return started

    def close(self) -> None:
        for process in self.processes:
            process.close()

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
        found.close()
