"""The figures of a roll-up, by the names of their columns."""

from __future__ import annotations

from lifesigns.results import DURATION_BOUNDS

STATUSES = ("healthy", "degraded", "error")
SECONDS = (*STATUSES, "blocked", "maintenance")
RUNS = ("healthy_runs", "degraded_runs", "error_runs")
STRETCHES = ("error_stretches", "unhealthy_stretches")
# Runs by duration: up to each of `DURATION_BOUNDS`, and longer ones.
DURATIONS = tuple(f"duration_{number}" for number in range(len(DURATION_BOUNDS) + 1))
# Whole numbers.
COUNTS = (*RUNS, *STRETCHES, *DURATIONS)
# All that is added up.
FIGURES = (*SECONDS, "duration_seconds", *COUNTS)
