"""What a sweep costs by the number of checks, where each check costs nothing: as a program, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import lifesigns
from benches.sweep import measure, nothing

COUNTS = (22, 50, 200, 1000)
NATIVE, CALLABLES, POOL = "native", "Python callables", "ThreadPoolExecutor(5)"
WORKERS = 5

Run = Callable[[], object]
# By kind, then by the number of checks: seconds of wall time of each turn's median sweep, and CPU time per sweep.
Curve = dict[str, dict[int, list[tuple[float, float]]]]


def runs(count: int) -> dict[str, Run]:
    """A fresh sweep of so many checks, natively, of Python functions, and of these on a pool that is kept."""
    native, callables, pool = lifesigns.Engine(), lifesigns.Engine(), ThreadPoolExecutor(WORKERS)
    for index in range(count):
        native.register(f"check_{index}", {"kind": "skipped", "reason": "nothing to do"})
        callables.register(f"check_{index}", nothing)
    return {
        NATIVE: lambda: native.run(refresh=True),
        CALLABLES: lambda: callables.run(refresh=True),
        POOL: lambda: [future.result() for future in [pool.submit(nothing) for _ in range(count)]],
    }


def turn(run: Run, times: int) -> tuple[float, float]:
    began = time.process_time()
    wall = median(measure(run, times))
    # `measure` warms up with a tenth more.
    return wall, (time.process_time() - began) / (times + times // 10 + 1)


def main(turns: int, sweeps: int) -> None:
    found: Curve = {NATIVE: {}, CALLABLES: {}, POOL: {}}
    for count in COUNTS:
        kinds = runs(count)
        times = max(3, sweeps * COUNTS[0] // count)
        for _ in range(turns):
            for kind, run in kinds.items():
                found[kind].setdefault(count, []).append(turn(run, times))
    print(json.dumps(found))


def curve(turns: int, sweeps: int) -> Curve:
    """Measured in turns, `sweeps` of 22 checks at each, fewer of more."""
    command = [sys.executable, "-m", __name__, str(turns), str(sweeps)]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=True)
    found: dict[str, dict[str, list[tuple[float, float]]]] = json.loads(done.stdout)
    return {kind: {int(count): taken for count, taken in by.items()} for kind, by in found.items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
