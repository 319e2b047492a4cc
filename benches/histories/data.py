"""Fills the log of results and the roll-ups, as if they had been kept for months."""

from __future__ import annotations

import time

# Of the log.
DAYS = 90
CHECKS = 22
FILL = """
INSERT INTO core_health_check_log (check_name, status, message, details, duration_ms, checked_at, correlation_id)
SELECT 'check_' || n % {checks},
       CASE WHEN n % 97 = 0 THEN 'error' WHEN n % 41 = 0 THEN 'degraded' ELSE 'healthy' END,
       'a message of some words', '{{"percent_used": 51.7, "status": "healthy"}}',
       exp(n % {checks} / 4.0 + random() + random() + random()),
       now() - n * interval '{days} days' / {rows}, gen_random_uuid()
FROM generate_series(1, {rows}) AS n
"""
RARE = "UPDATE core_health_check_log SET check_name = 'gone' WHERE id > {rows} - 100"
# Whole roll-ups: (period, length, how many are kept).
KEPT = (("minute", 60, 26 * 60), ("hour", 3_600, 35 * 24), ("day", 86_400, 400))
ROLLED_UP = """
INSERT INTO lifesigns_rollup (check_name, period, start, source, until, {columns})
SELECT 'check_' || n, '{period}', {now} / {length} * {length} - i * {length}, '', 0, {values}
FROM generate_series(0, {checks} - 1) AS n, generate_series(0, {count} - 1) AS i
"""
# The first three hours of each 13th day of a check have errors; the days differ.
BAD = "({now} / {length} - i) * {length} / 86400 % 13 = n % 13 AND ({now} / {length} - i) * {length} % 86400 < 10800"
VALUES = {
    "error": f"CASE WHEN {BAD} THEN least({{length}}, 10800) / 20.0 ELSE 0 END",
    "healthy": "{length} * 0.95",
    "covered": "{length}",
    "healthy_runs": "{length} / 30",
}


def fill(rows: int, checks: int) -> None:
    """Fill the log with so many rows of 90 days, and the roll-ups of its checks with those of 400 days."""
    from django.db import connection
    from django.utils import timezone

    from django_lifesigns.models import ServiceAvailability

    with connection.cursor() as cursor:
        cursor.execute(FILL.format(rows=rows, days=DAYS, checks=checks))
        cursor.execute(RARE.format(rows=rows))
        for statement in _roll_ups(checks):
            cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE core_health_check_log")
        cursor.execute("VACUUM ANALYZE lifesigns_rollup")
    now = timezone.now()
    ServiceAvailability.objects.record((f"check_{number}", "healthy", now) for number in range(checks))


def _roll_ups(checks: int) -> list[str]:
    from django_lifesigns.history.rollups.figures import FIGURES

    now = int(time.time())
    return [
        ROLLED_UP.format(
            columns=", ".join(FIGURES),
            values=", ".join(VALUES.get(name, "0").format(length=length, now=now) for name in FIGURES),
            period=period,
            now=now,
            length=length,
            checks=checks,
            count=count,
        )
        for period, length, count in KEPT
    ]
