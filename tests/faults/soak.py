"""10,000 sweeps while faults come and go at random: nothing is left of them in the end. `make soak` runs it.

Arguments: how many sweeps (10,000), and the seed that the faults are chosen with (1).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

from tests.faults import sockets
from tests.faults.cells import CELLS, Cell
from tests.faults.dependencies import Dependencies
from tests.faults.project import Project
from tests.services import wait_until

SWEEPS, SEED = 10_000, 1
TIMEOUT = 0.2
BREAKER = {"failures": 3, "wait": 0.2, "max_wait": 0.5}
FAULT_SECONDS, PAUSE_SECONDS = (0.05, 0.25), (0.4, 1.2)
LIMIT_SECONDS = 1200.0
BACK_SECONDS = 5.0
RSS_GROWTH = 5 * 1024 * 1024


@dataclass(frozen=True)
class Held:
    """What the process holds, and what each server holds for it."""

    threads: int
    descriptors: int
    on_servers: tuple[int, ...]

    def within(self, other: Held) -> bool:
        pairs = zip((*astuple(self)[:2], *self.on_servers), (*astuple(other)[:2], *other.on_servers), strict=True)
        return all(mine <= its for mine, its in pairs)


class Sweeper:
    """The process that sweeps."""

    def __init__(self, process: subprocess.Popen[str], ports: list[int]) -> None:
        self.process = process
        self.ports = ports
        self.done = 0
        self.idle = threading.Event()
        self.result: dict[str, Any] | None = None
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def running(self) -> bool:
        return self.result is None and self.process.poll() is None

    def proceed(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def held(self) -> Held:
        pid = self.process.pid
        connections = sockets.table(pid)
        on_servers = tuple(sockets.incoming(port, connections) for port in self.ports)
        return Held(sockets.threads(pid), sockets.descriptors(pid), on_servers)

    def resident(self) -> int:
        return sockets.resident(self.process.pid)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.result = json.loads(line)
            elif line == "idle\n":
                self.idle.set()
            else:
                self.done = int(line.split()[0])


def main(sweeps: int = SWEEPS, seed: int = SEED) -> int:
    print(f"{sweeps} sweeps of 23 checks, seed {seed}", flush=True)
    started = time.monotonic()
    with (
        Dependencies(gates=True) as dependencies,
        Project(dependencies, timeout=TIMEOUT, breaker=BREAKER, by_name=True) as project,
        sweeping(project, sweeps) as sweeper,
    ):
        wait_until(sweeper.idle.is_set, 60, "it does not come up")
        before = settled(sweeper)
        sweeper.proceed()
        cells = possible(project)
        for cell in cells:  # the warm-up: each of them once
            inflict(cell, project, 0.2)
        time.sleep(BACK_SECONDS)
        warm, warm_sweeps = sweeper.resident(), sweeper.done
        print(f"after each of {len(cells)} faults once: {warm_sweeps} sweeps, {warm / 1e6:.1f} MB", flush=True)
        choose, inflicted = random.Random(seed), 0
        while sweeper.running and time.monotonic() - started < LIMIT_SECONDS:
            inflict(choose.choice(cells), project, choose.uniform(*FAULT_SECONDS))
            inflicted += 1
            time.sleep(choose.uniform(*PAUSE_SECONDS))
            if inflicted % 20 == 0:
                print(f"{sweeper.done} sweeps, {inflicted} faults, {sweeper.resident() / 1e6:.1f} MB", flush=True)
        if sweeper.result is None:
            print(f"ended after {sweeper.done} sweeps, code {sweeper.process.poll()}")
            return 1
        after, grown = settled(sweeper, before), sweeper.resident() - warm
        sweeper.proceed()
        code = sweeper.process.wait(10)
    print(f"{inflicted} faults in {time.monotonic() - started:.0f} s")
    print(f"the longest sweep took {sweeper.result['longest']:.3f} s, timeouts are {TIMEOUT} s")
    print(f"outcomes: {sweeper.result['outcomes']}")
    print(f"before: {before}\nafter:  {after}\nRSS: {grown / 1e6:+.1f} MB since the warm-up; exit code {code}")
    well = after.within(before) and grown < RSS_GROWTH and code == 0
    print("kept" if well else "BROKEN")
    return 0 if well else 1


def possible(project: Project) -> list[Cell]:
    """Not those that hold the GIL: a sweep would be that long. Nor the Redis that announces a gigabyte and sends it:
    redis-py, behind Django's caches, takes it all (the native check stops after 256 KiB)."""
    return [
        cell
        for cell in CELLS
        if not cell.fault.held
        and not cell.fault.alerts
        and (project.names is not None or not cell.fault.names)
        and (cell.fault.name, cell.on) != ("10 GB body", "Redis")
    ]


def inflict(cell: Cell, project: Project, seconds: float) -> None:
    by_name = project.dependencies.by_name
    with cell.fault.apply(project, by_name.get(cell.on, by_name["PostgreSQL"])):
        time.sleep(seconds)


def settled(sweeper: Sweeper, allowed: Held | None = None) -> Held:
    """What it holds 5 s later, or as soon as that is not more than allowed."""
    end = time.monotonic() + BACK_SECONDS
    while time.monotonic() < end and not (allowed and sweeper.held().within(allowed)):
        time.sleep(0.1)
    return sweeper.held()


@contextmanager
def sweeping(project: Project, sweeps: int) -> Iterator[Sweeper]:
    command = project.command(sys.executable, "-m", "tests.faults.sweeper", str(sweeps))
    with (project.directory / "sweeper.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=project.directory,
            env=project.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Sweeper(process, [one.port for one in project.dependencies.by_name.values()])
    except BaseException:
        print((project.directory / "sweeper.log").read_text()[-4000:])
        raise
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
