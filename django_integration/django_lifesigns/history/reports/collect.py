"""Adds up the history of a time, slice by slice in the database: no row of millions comes into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Sum, Value
from django.db.models.functions import Floor, Greatest, Ln

from django_lifesigns.history.reports.durations import RESOLUTION, SHORTEST_MS, Durations
from django_lifesigns.models import HealthCheckLog

SLICE = timedelta(hours=1)
MOST_SLICES = 96
PROBLEMS = 20


@dataclass(slots=True)
class CheckFigures:
    """What a check did."""

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
        """Share of healthy results in percent, as in `ServiceAvailability`."""
        return 100.0 * self.healthy / self.results if self.results else 100.0


@dataclass(slots=True)
class SliceFigures:
    """What all checks did in one slice of the time."""

    since: datetime
    healthy: int = 0
    degraded: int = 0
    error: int = 0


@dataclass(slots=True)
class History:
    """All that a report tells."""

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
    """The time in parts of an hour, or in longer ones where those would be too many."""
    length = max(SLICE, (until - since) / MOST_SLICES)
    count = max(1, -(-(until - since) // length))
    return [(since + number * length, min(until, since + (number + 1) * length)) for number in range(count)]


def collect(since: datetime, until: datetime, done: Callable[[], object] = lambda: None) -> History:
    """The history of a time; `done` is called after each slice."""
    checks: dict[str, CheckFigures] = {}
    timeline = []
    for begin, end in slices(since, until):
        figures = SliceFigures(begin)
        for name, status, bucket, count, longest, latest, duration in _grouped(begin, end):
            check = checks.setdefault(name, CheckFigures())
            check.durations.add(int(bucket), count, longest)
            check.duration_ms += duration
            if status in ("healthy", "degraded", "error"):
                setattr(check, status, getattr(check, status) + count)
                setattr(figures, status, getattr(figures, status) + count)
            if status == "error":
                check.last_error_at = latest
        timeline.append(figures)
        done()
    return History(since, until, dict(sorted(checks.items())), timeline, _problems(since, until))


def _grouped(begin: datetime, end: datetime) -> Any:
    """One row for each check, status and bucket of durations."""
    bucket = Floor(Ln(Greatest(F("duration_ms"), Value(SHORTEST_MS))) * Value(RESOLUTION))
    rows = HealthCheckLog.objects.filter(checked_at__gte=begin, checked_at__lt=end).order_by()
    grouped = rows.annotate(bucket=bucket).values_list("check_name", "status", "bucket")
    return grouped.annotate(
        count=Count("pk"), longest=Max("duration_ms"), latest=Max("checked_at"), duration=Sum("duration_ms")
    )


def _problems(since: datetime, until: datetime) -> list[dict[str, Any]]:
    errors = HealthCheckLog.objects.filter(status="error", checked_at__gte=since, checked_at__lt=until)
    latest = errors.order_by("-checked_at").values("checked_at", "check_name", "message")[:PROBLEMS]
    return [dict(problem) for problem in latest]
