"""What a fresh sweep costs by the number of checks, natively, of Python functions, and of these on a pool.

The sweep alone, as the functions on the pool give nothing: `benches/sweep.py` has either with result dicts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

import lifesigns
from benches.sweep import measure, nothing

COUNTS = (22, 50, 200, 1000)
NATIVE, CALLABLES, POOL = "native", "Python callables", "ThreadPoolExecutor(5)"
WORKERS = 5
MIN_SWEEPS = 20
ROOT = Path(__file__).resolve().parents[2]

Run = Callable[[], object]


class Turn(NamedTuple):
    """Seconds: wall time of the median sweep, CPU time per sweep."""

    wall: float
    cpu: float


# By kind, then by the number of checks.
Curve = dict[str, dict[int, list[Turn]]]


def native(count: int) -> Run:
    engine = lifesigns.Engine()
    for index in range(count):
        engine.register(f"check_{index}", {"kind": "skipped", "reason": "nothing to do"})
    return lambda: engine.sweep(refresh=True)


def callables(count: int) -> Run:
    engine = lifesigns.Engine()
    for index in range(count):
        engine.register(f"check_{index}", nothing)
    return lambda: engine.sweep(refresh=True)


def pool(count: int) -> Run:
    executor = ThreadPoolExecutor(WORKERS)
    return lambda: [future.result() for future in [executor.submit(nothing) for _ in range(count)]]


KINDS: dict[str, Callable[[int], Run]] = {NATIVE: native, CALLABLES: callables, POOL: pool}


def main(kind: str, sweeps: int) -> None:
    for count in COUNTS:
        run, times = KINDS[kind](count), max(MIN_SWEEPS, sweeps * COUNTS[0] // count)
        measure(run, MIN_SWEEPS)  # memory and threads grow to what it takes
        began = time.process_time()
        wall = median(measure(run, times))
        # `measure` warms up with a tenth more.
        print(json.dumps([wall, (time.process_time() - began) / (times + times // 10 + 1)]), flush=True)


def curve(turns: int, sweeps: int) -> Curve:
    """Measured in turns, `sweeps` of 22 checks at each, fewer of more; each turn in a process of its own."""
    found: Curve = {kind: {count: [] for count in COUNTS} for kind in KINDS}
    for _ in range(turns):
        for kind, by_count in found.items():
            command = [sys.executable, "-m", __name__, kind, str(sweeps)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            for taken, line in zip(by_count.values(), done.stdout.splitlines(), strict=True):
                taken.append(Turn(*json.loads(line)))
    return found


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
