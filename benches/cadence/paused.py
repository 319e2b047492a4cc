"""What a fresh sweep of the 22 costs some seconds after the last one, when threads and caches have gone cold."""

from __future__ import annotations

import re
import subprocess
import time
from statistics import median
from typing import NamedTuple

from benches.comparison.ground import Contender, Ground
from tests.services import workspace

PAUSE_SECONDS = 2.3
# How many sweeps are traced: the slower the tracer makes one, the more of its threads wait for each other.
TRACED = 5
# The file of the host store, as `strace -y` shows its descriptor.
STORE = re.compile(r"\(\d+<[^>]*/store/[^>]*>")
CALL = re.compile(r"^\d+ +(?!<\.\.\.|\+\+\+|---)")


class Paused(NamedTuple):
    """CPU seconds of each sweep; system calls of one, those of them that the host store makes, and those of the same
    conversations with nothing around them: medians.
    """

    cpu: list[float]
    calls: int
    store_calls: int
    floor_calls: int


def paused(ground: Ground, sweeps: int) -> Paused:
    """Of sweeps in host scope, in a process of its own that does nothing else."""
    with Contender(ground, "lifesigns", ground.settings()) as contender:
        contender.wait()
        contender.sweeps(3)  # connects, and fills caches
        cpu = []
        for _ in range(sweeps):
            time.sleep(PAUSE_SECONDS)
            cpu += contender.sweeps(1)["sweep"]["cpu"]
        calls, store_calls = _system_calls(contender)
    with Contender(ground, "floor", ground.settings()) as contender:
        contender.wait()
        contender.sweeps(3)
        floor_calls, _ = _system_calls(contender)
    return Paused(cpu, calls, store_calls, floor_calls)


def _system_calls(contender: Contender) -> tuple[int, int]:
    """Of a sweep in all, and those of the host store: medians."""
    traced = [_traced(contender) for _ in range(TRACED)]
    calls, store_calls = (int(median(each)) for each in zip(*traced, strict=True))
    return calls, store_calls


def _traced(contender: Contender) -> tuple[int, int]:
    time.sleep(PAUSE_SECONDS)
    # To a file: a pipe that is not read while the contender sweeps would stop both.
    output = workspace.new_directory("strace") / "calls"
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-y", "-o", str(output), "-p", str(contender.pid)])
    time.sleep(1)  # attached by then
    contender.sweeps(1)
    tracer.terminate()
    tracer.wait()
    calls = [line for line in output.read_text().splitlines() if CALL.match(line)]
    return len(calls), sum(bool(STORE.search(line)) for line in calls)
