"""Times sweeps as Python sees them, each against its yardstick in the same run.

Prints medians (5th and 95th percentile) and ratios; ratios are what carries over to another machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial

import lifesigns

CHECKS = 22
SKIPPED = {"kind": "skipped", "reason": "nothing to do"}

broken: list[str] = []


def measure(run: Callable[[], object], times: int) -> list[float]:
    """Seconds of each of `times` runs, after a tenth as many to warm up."""
    for _ in range(times // 10 + 1):
        run()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def show(what: str, seconds: list[float], yardstick: list[float] | None = None) -> None:
    quantiles = statistics.quantiles(seconds, n=20)
    spread = f"({quantiles[0] * 1e6:.1f} to {quantiles[-1] * 1e6:.1f})"
    line = f"{what:<58}{statistics.median(seconds) * 1e6:>11.1f} µs {spread}"
    if yardstick is not None:
        line += f"   {statistics.median(seconds) / statistics.median(yardstick):.3f} x"
    print(line)


def nothing() -> None:
    """A check that costs nothing."""


def result() -> dict[str, object]:
    """What a health check written by hand makes of a check that costs nothing."""
    started = time.perf_counter()
    nothing()
    taken = round((time.perf_counter() - started) * 1000, 3)
    now = datetime.now(timezone.utc).isoformat()
    return {"status": "healthy", "message": "", "timestamp": now, "duration_ms": taken, "cached": False}


def constants(names: list[str]) -> dict[str, object]:
    """The least that a report of these checks takes in Python."""
    return {
        name: {"status": "healthy", "message": "", "timestamp": "", "duration_ms": 0.0, "cached": False}
        for name in names
    }


def overhead() -> None:
    pool = ThreadPoolExecutor(5)
    names = [f"check_{index}" for index in range(CHECKS)]
    pooled = measure(lambda: [future.result() for future in [pool.submit(nothing) for _ in names]], 2000)

    def results() -> dict[str, object]:
        futures = {name: pool.submit(result) for name in names}
        return {name: future.result() for name, future in futures.items()}

    native, callables = lifesigns.Engine(), lifesigns.Engine()
    for name in names:
        native.register(name, SKIPPED)
        callables.register(name, nothing)
    show(f"{CHECKS} no-op functions on a ThreadPoolExecutor(5)", pooled)
    show(f"{CHECKS} no-op callables, fresh", measure(lambda: callables.sweep(refresh=True), 2000), pooled)
    show(f"{CHECKS} no-op native checks, fresh", measure(lambda: native.sweep(refresh=True), 2000), pooled)
    pooled = measure(results, 2000)
    show("the functions on the pool, each giving a result dict", pooled)
    show(f"{CHECKS} result dicts of constants: no check, no thread", measure(lambda: constants(names), 2000), pooled)
    show("the callables, with the report as a dict", measure(lambda: callables.run(refresh=True), 2000), pooled)
    show("the native checks, with the report as a dict", measure(lambda: native.run(refresh=True), 2000), pooled)
    cached = measure(native.run, 2000)
    show(f"{CHECKS} checks, cached, with the report as a dict", cached, pooled)
    within("a cached sweep", cached, 200e-6)


def scaling() -> None:
    """How the cost grows with the number of checks."""
    engines = {checks: lifesigns.Engine() for checks in (CHECKS, 1_000)}
    for checks, engine in engines.items():
        for index in range(checks):
            engine.register(f"check_{index}", SKIPPED)
    few, many = (measure(partial(engine.run, refresh=True), 300) for engine in engines.values())
    show("1,000 no-op native checks, fresh, beside 22", many, few)
    # The fastest tenth of each: the longer a sweep, the more often something else interrupts it.
    times = statistics.quantiles(many, n=10)[0] / statistics.quantiles(few, n=10)[0]
    print(f"the fastest tenth of these: {times:.1f} x")
    if times > 50:
        broken.append("a sweep of 1,000 takes more than 50 times as long as one of 22")


FIRST_USE = """
import os, time
def resident(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before, started = resident(), time.perf_counter()
import lifesigns
imported = time.perf_counter() - started
engine = lifesigns.Engine()
for index in range(22):
    engine.register(f"check_{index}", {"kind": "skipped", "reason": "nothing to do"})
engine.run()
print(imported, resident() - before)
"""


def first_use() -> None:
    """What the import takes, and by how much a process grows by it and the first sweep."""
    runs = [subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, check=True) for _ in range(20)]
    seconds, grown = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    show("import lifesigns", list(seconds))
    within("import lifesigns", list(seconds), 5e-3)
    print(f"memory added by the import and the first sweep: {statistics.median(grown) / 1e6:.1f} MB")
    if statistics.median(grown) > 10e6:
        broken.append("the import and the first sweep add more than 10 MB")


def refused() -> None:
    """What a check costs whose circuit breaker is open: nothing is tried."""
    engine = lifesigns.Engine()
    engine.register("broken", lambda: 1 / 0, breaker={"failures": 1, "wait": 600})
    engine.breaker("broken").force_open()
    assert engine.check("broken", refresh=True)["circuit_state"] == "open"
    taken = measure(lambda: engine.check("broken", refresh=True), 2000)
    show("an open circuit breaker", taken)
    within("an open circuit breaker", taken, 50e-6)


def within(what: str, seconds: list[float], bound: float) -> None:
    """The median is what is promised, of a release build."""
    median = statistics.median(seconds)
    if median >= bound:
        broken.append(f"{what} takes {median * 1e6:.1f} µs, not under {bound * 1e6:.0f}")


def hanging() -> None:
    """A sweep of 22, one of which hangs for 60 s: it must end by that check's timeout plus 50 ms."""
    timeout = 0.2
    taken = []
    for _ in range(20):
        engine = lifesigns.Engine()
        engine.register("hangs", lambda: time.sleep(60), timeout=timeout)
        for index in range(1, CHECKS):
            engine.register(f"check_{index}", nothing)
        started = time.perf_counter()
        report = engine.run()
        taken.append(time.perf_counter() - started)
        assert report["checks"]["hangs"]["error_type"] == "TimeoutError"
    worst = (max(taken) - timeout) * 1000
    print(f"{CHECKS} checks, one hanging: over {worst:.1f} ms after its timeout at worst (allowed: 50 ms)")


if __name__ == "__main__":
    overhead()
    scaling()
    refused()
    hanging()
    first_use()
    sys.exit("\n".join(broken) or 0)
