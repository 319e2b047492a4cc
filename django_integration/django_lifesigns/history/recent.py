"""Reads the last 24 hours of the history on a thread of an engine, so that a database that hangs delays no answer."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from datetime import timezone as zone
from functools import lru_cache
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.timezones import utc
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.history import isolated
from django_lifesigns.history.objectives.current import as_dicts
from django_lifesigns.history.reports.durations import PLAUSIBLE, Durations, bucket_of_row
from django_lifesigns.history.rollups.reading import raw_rows
from lifesigns import Job

HOURS = 24
# So many results are read, the latest: a day of 22 checks in three processes, fewer hours of more of them.
ROWS = 200_000
SERVICES = 1_000
READ_SECONDS = 5.0
# One reading serves all callers within this time.
KEPT_SECONDS = 5.0
STATUSES = ("healthy", "degraded", "error")
PERCENTILES = {"median_ms": 50, "p95_ms": 95}


# Availability, hours, objectives: each by check.
Recent = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def read() -> Recent | None:
    """Return the availability of each service, the hours of each check, and the state of each objective.

    None if the database is too slow.

    In a test run of Django's it reads with the connection of its caller, in the transaction of the test.
    """
    if is_under_test():
        from django_lifesigns.models import HealthCheckLog, Rollup, ServiceAvailability

        return isolated.read(_read, HealthCheckLog, Rollup, ServiceAvailability)
    try:
        return _reading().run()
    except Exception:  # noqa: BLE001  # whatever a driver, or a router of the project's, raises
        return None


async def aread() -> Recent | None:
    """`read` for async code."""
    if is_under_test():
        return await sync_to_async(read)()
    try:
        return await _reading().arun()
    except Exception:  # noqa: BLE001  # whatever a driver, or a router of the project's, raises
        return None


@lru_cache(1)
def _reading() -> Job[Recent]:
    return Job(returning_connections(_read), timeout=READ_SECONDS, ttl=KEPT_SECONDS)


def _read() -> Recent:
    return availability(), hours(), as_dicts()


def availability() -> dict[str, Any]:
    """Return by service how often it was well, and when last. One query, by its primary key or unique name."""
    from django_lifesigns.models import ServiceAvailability

    fields = [field.name for field in ServiceAvailability._meta.fields if field.name not in ("id", "service_name")]
    rows = ServiceAvailability.objects.order_by("service_name").values("service_name", *fields)[:SERVICES]
    return {row["service_name"]: {name: _plain(row[name]) for name in fields} for row in rows}


def hours() -> dict[str, Any]:
    """Return by check for each hour how many results there were, of which status, and how long they took.

    Two queries, by the index on `checked_at`. The percentiles are those of a report.
    """
    rows = _latest().annotate(bucket=bucket_of_row(), hour=TruncHour("checked_at", tzinfo=zone.utc)).order_by()
    grouped = rows.values_list("check_name", "hour", "bucket").annotate(
        total=Count("pk"),
        **{status: Count("pk", filter=Q(status=status)) for status in STATUSES},
        shortest=Min("duration_ms"),
        longest=Max("duration_ms"),
    )
    counts: dict[tuple[str, Any], list[int]] = {}
    durations: dict[tuple[str, Any], Durations] = defaultdict(Durations)
    for name, at, bucket, *numbers, shortest, longest in raw_rows(grouped):
        so_far = counts.get((name, at), [0] * len(numbers))
        counts[name, at] = [one + other for one, other in zip(so_far, numbers, strict=True)]
        durations[name, at].add(int(bucket), numbers[0], shortest, longest)
    found: dict[str, Any] = {}
    for name, at in sorted(counts):
        hour = {"hour": _time(at), **dict(zip(("total", *STATUSES), counts[name, at], strict=True))}
        for key, percent in PERCENTILES.items():
            hour[key] = _milliseconds(durations[name, at].percentile(percent))
        found.setdefault(name, []).append(hour)
    return found


def _latest() -> QuerySet[Any]:
    """Return the rows of the last hours, of these the latest `ROWS`."""
    from django_lifesigns.models import HealthCheckLog

    recent = HealthCheckLog.objects.filter(PLAUSIBLE, checked_at__gte=timezone.now() - timedelta(hours=HOURS))
    # The first one that is too old: all in one query would sort what the index has in order already.
    beyond = recent.order_by("-checked_at").values_list("checked_at", flat=True)[ROWS : ROWS + 1].first()
    return recent if beyond is None else recent.filter(checked_at__gt=beyond)


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _plain(value: Any) -> Any:
    return _time(value) if isinstance(value, datetime) else value


def _time(value: datetime | str) -> str:
    """Return ISO 8601 in UTC, also of what a database returns as text or without a zone."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return utc(at).isoformat().replace("+00:00", "Z")
