"""The figures of a roll-up, by the names of their columns."""

from __future__ import annotations

from collections.abc import Mapping

from lifesigns.results import DURATION_BOUNDS

STATUSES = ("healthy", "degraded", "error")
SECONDS = (*STATUSES, "blocked", "maintenance")
# Seconds in which at least one source counted any of these.
COVERED = "covered"
RUNS = ("healthy_runs", "degraded_runs", "error_runs")
STRETCHES = ("error_stretches", "unhealthy_stretches")
# Runs by duration: up to each of `DURATION_BOUNDS`, and longer ones.
DURATIONS = tuple(f"duration_{number}" for number in range(len(DURATION_BOUNDS) + 1))
# Whole numbers.
COUNTS = (*RUNS, *STRETCHES, *DURATIONS)
# All that is added up.
FIGURES = (*SECONDS, COVERED, "duration_seconds", *COUNTS)


def sources(figures: Mapping[str, float], length: float) -> float:
    """Return how many sources counted at a time, in the mean over what was covered: at least 1.

    Args:
        figures: the seconds of all sources together.
        length: of their time, which stands in for what was covered where that is not known.
    """
    return mean_sources(sum([figures[name] for name in SECONDS]), figures.get(COVERED) or length)


def mean_sources(counted: float, covered: float) -> float:
    """Return how many sources counted at a time, of the seconds of all together and of those that were covered."""
    return max(1.0, counted / covered) if covered > 0 else 1.0
