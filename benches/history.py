"""How long a history of a million rows takes to be read, on a PostgreSQL of its own, with the queries' plans.

python benches/history.py [ROWS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

DAYS = 30
CHECKS = 22
RUNS = 7
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


def milliseconds(function: Callable[[], object]) -> str:
    """The median of some runs after one that warms up."""
    function()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - began))
    return f"{statistics.median(times):10.1f} ms"


def show(what: str, function: Callable[[], object], *queries: Any) -> None:
    """The time of what it is, and the plans of its queries."""
    print(f"{milliseconds(function)}  {what}", flush=True)
    for query in queries:
        for line in query.explain(analyze=True).splitlines():
            if "->" in line or "Scan" in line or "Cond" in line or line.startswith(("Limit", "Aggregate", "Execution")):
                print(f"               {line}")


def usage(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and most MiB of memory, of a process that does this."""
    from django.db import connection

    connection.close()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        function()
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, used.ru_maxrss / 1024


def command(what: str, name: str, *arguments: str) -> None:
    """Time and memory of a command, beside the memory of a process that does nothing."""
    from django.core.management import call_command

    _, nothing = usage(lambda: None)
    seconds, memory = usage(lambda: call_command(name, *arguments, stdout=StringIO()))
    print(f"{seconds:10.2f} s   {name}, {what}: {memory - nothing:.0f} MiB more than the {nothing:.0f} MiB of nothing")


def measure(rows: int) -> None:
    """Fill the history and run every query that reads it."""
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from django_lifesigns.history import recent, recorder
    from django_lifesigns.history.reports.collect import _grouped, collect
    from django_lifesigns.history.reports.formats import FORMATS
    from django_lifesigns.models import HealthCheckLog, ServiceAvailability
    from django_lifesigns.service import HealthCheckService

    call_command("migrate", "lifesigns", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(FILL.format(rows=rows, days=DAYS, checks=CHECKS))
        cursor.execute(RARE.format(rows=rows))
        cursor.execute("VACUUM ANALYZE core_health_check_log")
    now = timezone.now()
    ServiceAvailability.objects.record((f"check_{number}", "healthy", now) for number in range(CHECKS))
    service = HealthCheckService()
    logs = HealthCheckLog.objects.order_by("-checked_at")
    print(f"{HealthCheckLog.objects.count():,} rows of {DAYS} days, {CHECKS} checks")
    show("get_service_health_summary()", service.get_service_health_summary, ServiceAvailability.objects.all())
    show("get_recent_check_logs()", service.get_recent_check_logs, logs[:100])
    one = logs.filter(check_name="check_7")
    show("get_recent_check_logs('check_7')", lambda: service.get_recent_check_logs("check_7"), one[:100])
    gone = logs.filter(check_name="gone")
    show("the same of one that is gone", lambda: service.get_recent_check_logs("gone"), gone[:100])
    day, hour = now - timedelta(days=1), now - timedelta(hours=1)
    show("a report's slice of an hour", lambda: list(_grouped(hour, now)))
    show("a report on 24 hours", lambda: collect(day, now))
    show(f"a report on {DAYS} days", lambda: collect(now - timedelta(days=DAYS), now))
    show("the hours of /health/detailed/", recent.hours)
    errors = logs.filter(status="error", checked_at__gte=day)
    show("its latest errors", lambda: list(errors[:20]), errors[:20])
    show("count of all, as the admin's list does", HealthCheckLog.objects.count)
    results = {f"check_{number}": {"status": "healthy", "cached": False} for number in range(CHECKS)}
    show("recording a sweep, until it is written", lambda: recorder.record({"checks": results}, wait=10))
    for form in FORMATS:
        command(f"{DAYS} days as {form}", "generate_health_report", f"--hours={24 * DAYS}", f"--format={form}")
    command(f"{DAYS // 2} days", "health_prune", f"--days={DAYS // 2}")


def main() -> None:
    """Run in a minimal project on a database that goes with the process."""
    import django
    from django.conf import settings

    from tests.services import Postgres

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with Postgres() as server:
        settings.configure(
            USE_TZ=True,
            INSTALLED_APPS=["django_lifesigns"],
            DATABASES={"default": server.database(engine="django.db.backends.postgresql")},
        )
        django.setup()
        measure(rows)


if __name__ == "__main__":
    main()
