"""Has all pods run at the same time, and reads what they have taken after each turn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from benches.cadence.meter import Reading, resident, system_calls
from benches.cadence.pods import Plan, Pod

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Size:
    """`turns` of so many seconds each, after a pause in which everything has run once; system calls are counted for
    `traced` seconds afterwards."""

    pause: float
    turns: int
    seconds: float
    traced: float


FULL = Size(pause=45, turns=5, seconds=60, traced=30)
SHORT = Size(pause=4, turns=2, seconds=8, traced=4)


@dataclass
class Taken:
    """By one pod: per hour in each turn; the resident bytes of each worker; system calls per second of each worker, by
    the name of its thread; connections that its servers have; answers that were no 200."""

    hours: list[Reading] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    calls: dict[str, float] = field(default_factory=dict)
    connections: int = 0
    failures: int = 0


def measure(plans: tuple[Plan, ...], size: Size) -> dict[str, Taken]:
    """What each of them takes, by its key."""
    taken = {plan.key: Taken() for plan in plans}
    with ExitStack() as stack:
        # One after the other: workers that start at once on two cores time out.
        pods = [stack.enter_context(Pod(plan)) for plan in plans]
        time.sleep(size.pause)
        for _ in range(size.turns):
            for pod in pods:
                # Of the task worker, which is to be alive for longer than the five minutes that are looked back.
                pod.ground.stack.postgres.heartbeat()
            before = {pod.plan.key: (time.monotonic(), pod.read()) for pod in pods}
            time.sleep(size.seconds)
            for pod in pods:
                began, reading = before[pod.plan.key]
                used = pod.read() - reading
                taken[pod.plan.key].hours.append(used * (HOUR / (time.monotonic() - began)))
        for pod in pods:
            found = taken[pod.plan.key]
            found.memory = resident(pod.pid)
            found.connections = pod.ground.connections(pod.pid)
            found.failures = sum(pod.failures.values()) if not pod.plan.idle else 0
        with ThreadPoolExecutor(len(pods)) as pool:
            counted = pool.map(lambda pod: system_calls(pod.workers(), size.traced), pods)
        for pod, calls in zip(pods, counted, strict=True):
            per_worker = size.traced * pod.plan.workers
            taken[pod.plan.key].calls = {thread: count / per_worker for thread, count in calls.items()}
    return taken
