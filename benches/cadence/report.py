"""What the pods have taken, as a table of the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from benches.cadence.measure import Taken
from benches.cadence.pods import PLANS
from benches.comparison.tables import table

HEAD = (
    "contender",
    "workers",
    "CPU s/h",
    "CPU of the servers s/h",
    "system calls/s of a worker",
    "statements/h",
    "Redis commands/h",
    "HTTP requests/h",
    "sessions/h",
    "Redis connections/h",
    "connections",
    "RSS MB of a worker",
)


def taken_per_hour(taken: Mapping[str, Taken]) -> str:
    """One row for each pod; medians of the turns."""
    return table(HEAD, [_row(key, found) for key, found in taken.items()])


def _row(key: str, taken: Taken) -> tuple[str, ...]:
    (plan,) = (plan for plan in PLANS if plan.key == key)

    def per_hour(name: str) -> float:
        return float(median(getattr(hour, name) for hour in taken.hours))

    counts = ("statements", "commands", "requests", "sessions", "redis_connections")
    return (
        plan.label,
        str(plan.workers),
        f"{per_hour('cpu'):.1f}",
        f"{per_hour('servers'):.1f}",
        f"{sum(taken.calls.values()):.0f}",
        *(f"{per_hour(name):,.0f}" for name in counts),
        str(taken.connections),
        f"{median(taken.memory) / 1e6:.1f}",
    )
