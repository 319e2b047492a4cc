"""Times sweeps as Python sees them, each against its yardstick in the same run.

Prints medians (5th and 95th percentile) and ratios; ratios are what carries over to another machine.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import lifesigns

CHECKS = 22

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


def overhead() -> None:
    pool = ThreadPoolExecutor(5)
    pooled = measure(lambda: [future.result() for future in [pool.submit(nothing) for _ in range(CHECKS)]], 2000)
    native, callables = lifesigns.Engine(), lifesigns.Engine()
    for index in range(CHECKS):
        native.register(f"check_{index}", {"kind": "skipped", "reason": "nothing to do"})
        callables.register(f"check_{index}", nothing)
    show(f"{CHECKS} no-op functions on a ThreadPoolExecutor(5)", pooled)
    show(f"{CHECKS} no-op callables, fresh", measure(lambda: callables.run(refresh=True), 2000), pooled)
    show(f"{CHECKS} no-op native checks, fresh", measure(lambda: native.run(refresh=True), 2000), pooled)
    cached = measure(native.run, 2000)
    show(f"{CHECKS} checks, cached", cached, pooled)
    within("a cached sweep", cached, 200e-6)


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
    refused()
    hanging()
    sys.exit("\n".join(broken) or 0)
