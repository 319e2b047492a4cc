"""What the history says of the last 24 hours, read on a thread of an engine: a database that hangs holds nobody up."""

from __future__ import annotations

from datetime import datetime, timedelta
from datetime import timezone as zone
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections, router
from django.db.models.functions import TruncHour
from django.utils import timezone

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.timezones import utc
from lifesigns import Job, JobError

HOURS = 24
# The latest so many results are looked at: a day of 22 checks in three processes, fewer hours of more of them.
ROWS = 200_000
SERVICES = 1_000
READ_SECONDS = 5.0
# One reading serves all who ask within this time.
KEPT_SECONDS = 5.0
# The middle and the 95th percentile as values that were measured, which every database can tell.
SQL = """
SELECT check_name, hour, COUNT(*),
    SUM(CASE WHEN status = 'healthy' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'degraded' THEN 1 ELSE 0 END),
    SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END),
    MIN(CASE WHEN share >= 0.5 THEN duration_ms END), MIN(CASE WHEN share >= 0.95 THEN duration_ms END)
FROM (
    SELECT latest.*, CUME_DIST() OVER (PARTITION BY check_name, hour ORDER BY duration_ms) AS share
    FROM ({latest}) AS latest
) AS ranked
GROUP BY check_name, hour ORDER BY check_name, hour
"""
COUNTS = ("total", "healthy", "degraded", "error")


def read() -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The availability of each service, and the hours of each check; None if the database cannot tell in time."""
    try:
        return _reading().run()
    except (Error, ImproperlyConfigured, TimeoutError, JobError):
        return None


@lru_cache(1)
def _reading() -> Job[tuple[dict[str, Any], dict[str, Any]]]:
    read_both = returning_connections(lambda: (availability(), hours()))
    return Job(read_both, timeout=READ_SECONDS, ttl=KEPT_SECONDS)


def availability() -> dict[str, Any]:
    """By service: how often it was well, and when last. One query, by its primary key or unique name."""
    from django_lifesigns.models import ServiceAvailability

    fields = [field.name for field in ServiceAvailability._meta.fields if field.name not in ("id", "service_name")]
    rows = ServiceAvailability.objects.order_by("service_name").values("service_name", *fields)[:SERVICES]
    return {row["service_name"]: {name: _plain(row[name]) for name in fields} for row in rows}


def hours() -> dict[str, Any]:
    """By check: for each hour how many results there were, of which status, and how long they took. One query, by the
    index on `checked_at`."""
    from django_lifesigns.models import HealthCheckLog

    hour = TruncHour("checked_at", tzinfo=zone.utc)
    recent = HealthCheckLog.objects.filter(checked_at__gte=timezone.now() - timedelta(hours=HOURS))
    latest = recent.order_by("-checked_at").values("check_name", "status", "duration_ms", hour=hour)[:ROWS]
    using = router.db_for_read(HealthCheckLog)
    sql, parameters = latest.using(using).query.get_compiler(using).as_sql()
    found: dict[str, Any] = {}
    with connections[using].cursor() as cursor:
        cursor.execute(SQL.format(latest=sql), parameters)
        for name, at, *numbers in cursor.fetchall():
            counts = {key: int(number) for key, number in zip(COUNTS, numbers, strict=False)}
            times = {"median_ms": _milliseconds(numbers[-2]), "p95_ms": _milliseconds(numbers[-1])}
            found.setdefault(name, []).append({"hour": _time(at), **counts, **times})
    return found


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _plain(value: Any) -> Any:
    return _time(value) if isinstance(value, datetime) else value


def _time(value: datetime | str) -> str:
    """ISO 8601 in UTC, also of what a database returns as text or without a zone."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return utc(at).isoformat().replace("+00:00", "Z")
