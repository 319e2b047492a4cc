"""What a fleet does under each fault of its Redis: answers, checks of the hosts, runs of the fleet's check, the log.

`make faults` prints it as a table of its own; exit code 1 if a bound is broken. Arguments as those of `matrix`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import page
from tests.faults.dependencies import Gate
from tests.faults.fleet_faults import FAULTS, PASSWORD, USER, Fault, Scene, server
from tests.fleet.host import Hosts, Process
from tests.process.probes import fetch
from tests.services import wait_until
from tests.services.redis import PASSWORD as ADMINS_PASSWORD
from tests.services.redis import USER as ADMIN
from tests.services.redis import Redis
from tests.services.sentinel import MASTER, Sentinel

NAMES = ("a", "b", "c")
TTL = 1.5
SECONDS = 9.0
GIVE_UP_AFTER = 60.0
LOST, BACK = "cannot be used", "is used again"


@dataclass(frozen=True)
class Bounds:
    """Seconds; `runs` is how many times as often as by one host the check may run.

    A sweep waits 1 s for the store at most, after it may have waited for the run of another host, for which it looks
    0.2, 0.6 and 1.4 s after it first did.
    """

    ready: float = 0.85
    sweep: float = 2.5
    back: float = 10.0
    runs: float = 1.5


@dataclass
class Row:
    fault: str
    ready: float = 0.0
    sweep: float = 0.0
    runs: int = 0
    seconds: float = 0.0
    said: str = ""
    back: float | None = None
    broken: list[str] = field(default_factory=list)


class Fleet:
    """Three hosts, each with a probe server."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.processes: list[Process] = hosts.start(*NAMES, ttl=TTL, background=True)
        self.addresses = [one.evaluate("(server := engine.serve('127.0.0.1:0')).address") for one in self.processes]
        self.settle()

    def settle(self) -> None:
        """Return once all hosts have announced themselves, and each knows of all."""
        wait_until(lambda: all(self.seen(process) == len(NAMES) for process in self.processes), GIVE_UP_AFTER)

    def seen(self, process: Process) -> float:
        text = process.evaluate("lifesigns.metrics(engine)")
        found = [line for line in text.splitlines() if line.startswith('health_fleet_instances{state="ready"}')]
        return float(found[0].split()[1]) if found else 0.0

    def said(self) -> list[list[str]]:
        """Return what each host has logged of the store."""
        return [[line for line in one.evaluate("lines") if "fleet store" in line] for one in self.processes]

    def is_back(self, store: Redis) -> bool:
        """Return whether all use the store, and none waits for a lease of a request that it has executed late."""
        said = all(sum(LOST in line for line in lines) == sum(BACK in line for line in lines) for lines in self.said())
        visible = all(process.fleet()["visible"] for process in self.processes)
        return said and visible and not store.command("KEYS", "lifesigns:{shop}:l:*")


def measure(fleet: Fleet, scene: Scene, fault: Fault, bounds: Bounds, seconds: float = SECONDS) -> Row:
    """Apply a fault for so long; whatever broke a bound is named in `Row.broken`."""
    row = Row(fault.name)
    before = [len(lines) for lines in fleet.said()]
    with fault.apply(scene):
        _load(fleet, row, seconds)
    lifted = time.monotonic()
    store = scene.replica if fault.watched else scene.redis
    wait_until(lambda: fleet.is_back(store), GIVE_UP_AFTER, f"{fault}: not back")
    row.back = time.monotonic() - lifted
    said = [lines[start:] for lines, start in zip(fleet.said(), before, strict=True)]
    row.said = " / ".join(str(sum(LOST in line for line in lines)) for lines in said)
    row.broken += _broken(row, bounds, fault, said)
    fleet.settle()
    return row


def _load(fleet: Fleet, row: Row, seconds: float) -> None:
    """Ask the probe servers and have each host sweep, one after the other."""
    started, runs = time.monotonic(), len(fleet.hosts.runs())
    while time.monotonic() - started < seconds:
        for process, address in zip(fleet.processes, fleet.addresses, strict=True):
            asked = time.monotonic()
            if fetch(address, "/ready").code != 200:
                row.broken.append("/ready is not 200")
            row.ready = max(row.ready, time.monotonic() - asked)
            asked = time.monotonic()
            report = process.evaluate("engine.run()")
            row.sweep = max(row.sweep, time.monotonic() - asked)
            local = report["checks"]["local"]
            if local["status"] != "healthy" or local["age_seconds"] > 3:
                row.broken.append(f"the host's check: {local['status']} {local['age_seconds']} s ago")
        time.sleep(0.1)
    row.seconds = time.monotonic() - started
    row.runs = len(fleet.hosts.runs()) - runs


def _broken(row: Row, bounds: Bounds, fault: Fault, said: list[list[str]]) -> Iterator[str]:
    if row.ready > bounds.ready:
        yield f"/ready after {row.ready:.2f} s"
    if row.sweep > bounds.sweep:
        yield f"a sweep took {row.sweep:.2f} s"
    # Each host runs it once at some time, and then as seldom as all of them together should.
    allowed = row.seconds / TTL * bounds.runs + len(NAMES)
    if row.runs > allowed:
        yield f"{row.runs} runs, allowed are {allowed:.0f}"
    if row.back is None or row.back > bounds.back:
        yield f"back after {row.back} s"
    for name, lines in zip(NAMES, said, strict=True):
        lost = sum(LOST in line for line in lines)
        if lost > 1 or len(lines) != 2 * lost or (fault.is_lost and not lost):
            yield f"{name} said {lines}"


@contextmanager
def running(*, watched: bool) -> Iterator[tuple[Fleet, Scene]]:
    """Three hosts and their Redis: behind a gate, or found by a Sentinel."""
    with ExitStack() as undo:
        redis, replica = undo.enter_context(server()), undo.enter_context(server())
        gate, sentinel = undo.enter_context(Gate(redis.host, redis.port)), undo.enter_context(Sentinel(redis))
        directory = undo.enter_context(tempfile.TemporaryDirectory())
        settings: dict[str, Any] = {"url": f"redis://{USER}:{PASSWORD}@{gate.host}:{gate.port}/0"}
        if watched:
            replica.command("REPLICAOF", redis.host, str(redis.port))
            replica.command("CONFIG", "SET", "masteruser", ADMIN)
            replica.command("CONFIG", "SET", "masterauth", ADMINS_PASSWORD)
            wait_until(lambda: "master_link_status:up" in replica.command("INFO", "replication"), GIVE_UP_AFTER)
            wait_until(lambda: "num-slaves\n1" in sentinel.command("SENTINEL", "MASTER", MASTER), GIVE_UP_AFTER)
            settings = {"url": f"redis://{USER}:{PASSWORD}@{MASTER}/0", "sentinels": [sentinel.address]}
        hosts = Hosts(Path(directory), settings)
        undo.callback(hosts.close)
        yield Fleet(hosts), Scene(redis, gate, replica, sentinel)


def rows(words: list[str], bounds: Bounds, seconds: float = SECONDS) -> Iterator[Row]:
    """Measure the faults in whose names one of the words is, or all."""
    chosen = [fault for fault in FAULTS if not words or any(word.lower() in fault.name.lower() for word in words)]
    for watched in (False, True):
        if faults := [fault for fault in chosen if fault.watched == watched]:
            with running(watched=watched) as (fleet, scene):
                for fault in faults:
                    yield measure(fleet, scene, fault, bounds, seconds)


def main(words: list[str]) -> int:
    accepted = page.ACCEPT in words
    words = [word for word in words if word != page.ACCEPT]
    lines: list[str] = []
    broken = 0

    def show(*columns: str) -> None:
        lines.append(f"| {' | '.join(columns)} |")
        print(lines[-1], flush=True)

    show("fault of the store", "`/ready` s", "a sweep, s", "runs in s", "lost, by host", "back after s", "bounds")
    show(*["---"] * 7)
    for row in rows(words, Bounds()):
        broken += bool(row.broken)
        runs, back = f"{row.runs} in {row.seconds:.0f}", "never" if row.back is None else f"{row.back:.1f}"
        measured = (f"{row.ready:.2f}", f"{row.sweep:.2f}", runs, row.said, back)
        show(row.fault, *measured, "; ".join(row.broken) or page.KEPT)
    if accepted and not words:
        page.accept("fleet", "\n".join(lines))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
