"""What a fresh sweep costs each contender: time, CPU, threads, connections, memory."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benches.comparison.ground import Contender, Ground, Taken
from tests.faults import sockets
from tests.services import Service
from tests.services.processes import tree

NAMES = {
    "lifesigns": "Lifesigns, 22 checks",
    "django_health_check": "django-health-check 4.8, 6 checks",
    "plain": "plain Python, 22 checks on a ThreadPoolExecutor(5)",
    "floor": "the floor: the conversations of the 22 with nothing around them",
    "limit": "each of the 22 checks alone",
}
SAMPLE_SECONDS = 0.005
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


class Size(NamedTuple):
    """The contenders take turns `rounds` times, and sweep `block` times at each."""

    rounds: int
    block: int


@dataclass
class Cost:
    """Seconds of each sweep, or of each run of one check."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass
class Costs:
    """By contender, then by what it runs; `servers` is the CPU time of the services per sweep, in seconds.

    `apart` is the wall time of the slowest check while the others run in another process.
    """

    by_name: dict[str, dict[str, Cost]]
    servers: dict[str, float]
    apart: list[float] = field(default_factory=list)

    def sweep(self, name: str) -> Cost:
        return self.by_name[name]["sweep"]

    def slowest(self) -> tuple[str, Cost]:
        """The check with the largest median among those that ran alone."""
        return max(self.by_name["limit"].items(), key=lambda item: median(item[1].wall))

    def cpus_over_cores(self, name: str) -> float:
        """What a sweep takes at the least: its CPU time and that of the servers, on all cores at once."""
        return (median(self.sweep(name).cpu) + self.servers[name]) / CORES


@dataclass(frozen=True)
class Footprint:
    """Threads and connections: the most that there were beside what the project itself has. Memory in bytes."""

    threads: int
    connections: int
    connections_kept: int
    memory: int


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def costs(ground: Ground, size: Size, *, delayed: bool = False) -> Costs:
    """Of all contenders, in turns."""
    settings = ground.settings(delayed=delayed)
    found = Costs({name: {} for name in NAMES}, dict.fromkeys(NAMES, 0.0))
    with ExitStack() as stack:
        contenders = [stack.enter_context(Contender(ground, name, settings)) for name in NAMES]
        for contender in contenders:
            contender.wait()
            contender.sweeps(size.block)  # connects, and fills caches
        for _ in range(size.rounds):
            for contender in contenders:
                before = server_seconds(ground.stack.services)
                add(found.by_name[contender.name], contender.sweeps(size.block))
                spent = server_seconds(ground.stack.services) - before
                found.servers[contender.name] += spent / size.rounds / size.block
    found.apart = apart(ground, settings, found, size)
    return found


def apart(ground: Ground, settings: dict[str, Any], found: Costs, size: Size) -> list[float]:
    """The slowest check in a process of its own, started at the same instant as all others in another one.

    So nothing of the engine stands between them: only the cores are shared.
    """
    slowest, _ = found.slowest()
    others = [name for name in found.by_name["limit"] if name != slowest]
    with (
        Contender(ground, "only", settings, slowest) as one,
        Contender(ground, "only", settings, *others) as rest,
        ThreadPoolExecutor(1) as pool,
    ):
        for contender in (one, rest):
            contender.wait()
            contender.sweeps(size.block)
        sweeping = pool.submit(rest.sweeps, size.rounds * size.block)
        taken = one.sweeps(size.rounds * size.block)["sweep"]["wall"]
        sweeping.result()
    return taken


def add(costs: dict[str, Cost], taken: Taken) -> None:
    for name, one in taken.items():
        cost = costs.setdefault(name, Cost())
        cost.wall += one["wall"]
        cost.cpu += one["cpu"]


def footprints(ground: Ground, sweeps: int) -> dict[str, Footprint]:
    """Of each contender, while it has the services for itself; memory is what it has beyond the bare project."""
    settings = ground.settings()
    with Contender(ground, "bare", settings) as bare:
        bare.wait()
        bare.sweeps(1)
        project = sockets.resident(bare.pid)
    found = {}
    for name in NAMES:
        if name != "limit":
            with Contender(ground, name, settings) as contender:
                contender.wait()
                found[name] = footprint(ground, contender, sweeps, project)
    return found


def footprint(ground: Ground, contender: Contender, sweeps: int, project: int) -> Footprint:
    pid = contender.pid
    threads, connections = sockets.threads(pid), ground.connections(pid)
    contender.sweeps(1)
    memory = sockets.resident(pid) - project
    most_threads, most_connections = threads, connections
    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(contender.sweeps, sweeps)
        while not sweeping.done():
            most_threads = max(most_threads, sockets.threads(pid))
            most_connections = max(most_connections, ground.connections(pid))
            time.sleep(SAMPLE_SECONDS)
        sweeping.result()
    # Django's own cache connections, there before, may be among those that a check closes.
    kept = max(0, ground.connections(pid) - connections)
    return Footprint(most_threads - threads, most_connections - connections, kept, memory)


def postgres_round_trips(ground: Ground, sweeps: int) -> float:
    """Per sweep, on a connection that is there."""
    with Contender(ground, "lifesigns", ground.settings(delayed=True)) as contender:
        contender.wait()
        contender.sweeps(2)
        ground.proxies.round_trips(ground.stack.postgres)
        contender.sweeps(sweeps)
        return ground.proxies.round_trips(ground.stack.postgres) / sweeps


def server_seconds(services: tuple[Service, ...]) -> float:
    """CPU time of their processes so far, with those that have ended."""
    ticks = 0
    for service in services:
        for pid in tree(service.pid):
            try:
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
            except (FileNotFoundError, ProcessLookupError):  # ended meanwhile: its parent has its time
                continue
    return ticks / TICKS
