"""The process of one contender: sweeps as often as requested, and says how long each sweep took.

It reads from standard input how often to sweep, one number a line, and answers each with `{name: {"wall": [...],
"cpu": [...]}}` in seconds. Before it has imported anything that its checks need it prints `ready`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

# What continues after a sweep has answered (connections that close) belongs to its cost.
PAUSE_SECONDS = 0.004
# More than any sweep takes, that and the pause.
PERIOD_SECONDS = 0.06

Sweep = Callable[[], dict[str, Any]]


def stack_settings() -> dict[str, Any]:
    """The project's settings, for contenders that are no part of it."""
    settings: dict[str, Any] = json.loads(Path(os.environ["LIFESIGNS_DEMO_STACK"]).read_text())
    return settings


def use_dependencies() -> None:
    """What the application itself does with its database, cache and channel layer, whatever checks them."""
    from channels.layers import get_channel_layer
    from django.core.cache import caches
    from django.db import connection

    get_channel_layer()
    for alias in ("default", "select2"):
        caches[alias].get("nothing")
        caches[alias].close()
    connection.ensure_connection()
    connection.close()


def lifesigns() -> dict[str, Sweep]:
    from django_lifesigns.runtime.engine import get_engine

    engine = get_engine()
    return {"sweep": lambda: dict(engine.run(refresh=True))}


def django_health_check() -> dict[str, Sweep]:
    from benches.comparison.peer import sweeper

    return {"sweep": sweeper()}


def plain() -> dict[str, Sweep]:
    from benches.comparison.plain import Plain

    return {"sweep": Plain(stack_settings()).sweep}


def limit() -> dict[str, Sweep]:
    """Each check in an engine of its own, where nothing else runs and nothing is waited for."""
    import lifesigns
    from django_lifesigns.checks.connections import runnable
    from django_lifesigns.settings.conf import read
    from django_lifesigns.targets.discovery import discover

    def alone(name: str, check: Any) -> Sweep:
        engine = lifesigns.Engine()
        engine.register(name, runnable(check))
        return lambda: dict(engine.run(refresh=True))

    return {found.name: alone(found.name, found.check) for found in discover(read())[0]}


def floor() -> dict[str, Sweep]:
    from benches.comparison.floor import Floor

    return {"sweep": Floor(stack_settings()).sweep}


def only(*names: str) -> dict[str, Sweep]:
    """Some of the checks, started at instants that all such processes have in common."""
    from django_lifesigns.runtime.engine import get_engine

    engine = get_engine()
    return {"sweep": lambda: dict(engine.run(names, refresh=True))}


def bare() -> dict[str, Sweep]:
    """The project without any health check."""
    return {"sweep": lambda: {"summary": {"total_checks": 0, "healthy": 0}}}


CONTENDERS: dict[str, Callable[..., dict[str, Sweep]]] = {
    contender.__name__: contender for contender in (lifesigns, django_health_check, plain, floor, limit, only, bare)
}


def measure(name: str, sweep: Sweep) -> tuple[float, float]:
    """Seconds of wall time, and of CPU time of all threads."""
    began_cpu, began = time.process_time(), time.perf_counter()
    report = sweep()
    wall = time.perf_counter() - began
    time.sleep(PAUSE_SECONDS)
    cpu = time.process_time() - began_cpu
    summary = report["summary"]
    if summary["healthy"] != summary["total_checks"]:
        raise SystemExit(f"{name}: not all is healthy: {json.dumps(report, default=str)}")
    return wall, cpu


def await_common_instant() -> None:
    """The last half millisecond awake: to wake up takes a while, not the same in every process."""
    instant = (time.time() // PERIOD_SECONDS + 1) * PERIOD_SECONDS
    time.sleep(max(0.0, instant - time.time() - 0.0005))
    while time.time() < instant:
        pass


def main(contender: str, *names: str) -> None:
    django.setup()
    use_dependencies()
    print("ready", flush=True)
    sweeps: dict[str, Sweep] = {}
    for line in sys.stdin:
        times = json.loads(line)
        sweeps = sweeps or CONTENDERS[contender](*names)
        taken: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": []} for name in sweeps}
        for _ in range(times):
            for name, sweep in sweeps.items():
                if names:
                    await_common_instant()
                wall, cpu = measure(name, sweep)
                taken[name]["wall"].append(wall)
                taken[name]["cpu"].append(cpu)
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
