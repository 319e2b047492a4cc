"""Adds up the history of a time, slice by slice in the database: no row of millions comes into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Sum

from django_lifesigns.history.reports.durations import PLAUSIBLE, Durations, bucket_of_row
from django_lifesigns.models import HealthCheckLog

SLICE = timedelta(hours=1)
MOST_SLICES = 96
PROBLEMS = 20


@dataclass(slots=True)
class CheckFigures:
    """The results of one check."""

    healthy: int = 0
    degraded: int = 0
    error: int = 0
    # Of all results together.
    duration_ms: float = 0.0
    durations: Durations = field(default_factory=Durations)
    last_error_at: datetime | None = None

    @property
    def results(self) -> int:
        return self.healthy + self.degraded + self.error

    @property
    def uptime(self) -> float:
        """The share of healthy results in percent, as in `ServiceAvailability`."""
        return 100.0 * self.healthy / self.results if self.results else 100.0


@dataclass(slots=True)
class SliceFigures:
    """The results of all checks in one slice of the time."""

    since: datetime
    healthy: int = 0
    degraded: int = 0
    error: int = 0


@dataclass(slots=True)
class History:
    """All that a report contains."""

    since: datetime
    until: datetime
    checks: dict[str, CheckFigures]
    slices: list[SliceFigures]
    problems: list[dict[str, Any]]

    @property
    def total(self) -> CheckFigures:
        """All checks together."""
        total = CheckFigures()
        for check in self.checks.values():
            total.healthy += check.healthy
            total.degraded += check.degraded
            total.error += check.error
        return total


def slices(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Split the time into parts of an hour, or into longer ones where those would be too many."""
    length = max(SLICE, (until - since) / MOST_SLICES)
    count = max(1, -(-(until - since) // length))
    return [(since + number * length, min(until, since + (number + 1) * length)) for number in range(count)]


def collect(since: datetime, until: datetime, done: Callable[[], object] = lambda: None) -> History:
    """Return the history of a time; `done` is called after each slice."""
    checks: dict[str, CheckFigures] = {}
    timeline = []
    for start, end in slices(since, until):
        figures = SliceFigures(start)
        for name, status, bucket, count, shortest, longest, latest, duration in _grouped(start, end):
            check = checks.setdefault(name, CheckFigures())
            check.durations.add(int(bucket), count, shortest, longest)
            check.duration_ms += duration
            if status in ("healthy", "degraded", "error"):
                setattr(check, status, getattr(check, status) + count)
                setattr(figures, status, getattr(figures, status) + count)
            if status == "error":
                check.last_error_at = max(latest, check.last_error_at or latest)
        timeline.append(figures)
        done()
    return History(since, until, dict(sorted(checks.items())), timeline, _problems(since, until))


def _grouped(start: datetime, end: datetime) -> Any:
    """Return one row for each check, status and bucket of durations."""
    rows = HealthCheckLog.objects.filter(PLAUSIBLE, checked_at__gte=start, checked_at__lt=end).order_by()
    grouped = rows.annotate(bucket=bucket_of_row()).values_list("check_name", "status", "bucket")
    return grouped.annotate(Count("pk"), Min("duration_ms"), Max("duration_ms"), Max("checked_at"), Sum("duration_ms"))


def _problems(since: datetime, until: datetime) -> list[dict[str, Any]]:
    errors = HealthCheckLog.objects.filter(status="error", checked_at__gte=since, checked_at__lt=until)
    latest = errors.order_by("-checked_at").values("checked_at", "check_name", "message")[:PROBLEMS]
    return [dict(problem) for problem in latest]
