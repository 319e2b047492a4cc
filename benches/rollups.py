"""How long roll-ups take to be written and read beside a log of millions of rows, on a PostgreSQL of their own.

python benches/rollups.py [ROWS] [CHECKS]
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benches.history import FILL, show

# Of the log.
DAYS = 90
# Whole roll-ups: (period, length, how many are kept).
KEPT = (("minute", 60, 26 * 60), ("hour", 3_600, 35 * 24), ("day", 86_400, 400))
ROLLED_UP = """
INSERT INTO lifesigns_rollup (check_name, period, start, source, until, {columns})
SELECT 'check_' || n, '{period}', {now} / {length} * {length} - i * {length}, '', 0, {values}
FROM generate_series(0, {checks} - 1) AS n, generate_series(0, {count} - 1) AS i
"""
VALUES = {
    "error": "CASE WHEN i % 97 = 0 THEN {length} / 20.0 ELSE 0 END",
    "healthy": "{length} * 0.95",
    "healthy_runs": "{length} / 30",
}


def fill(rows: int, checks: int) -> None:
    """Fill the log and the roll-ups of its checks."""
    from django.db import connection

    from django_lifesigns.history.rollups.figures import FIGURES

    with connection.cursor() as cursor:
        cursor.execute(FILL.format(rows=rows, days=DAYS, checks=checks))
        for period, length, count in KEPT:
            statement = ROLLED_UP.format(
                columns=", ".join(FIGURES),
                values=", ".join(VALUES.get(name, "0").format(length=length) for name in FIGURES),
                period=period,
                now=int(time.time()),
                length=length,
                checks=checks,
                count=count,
            )
            cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE core_health_check_log")
        cursor.execute("VACUUM ANALYZE lifesigns_rollup")


def measure(rows: int, checks: int) -> None:
    """Write and read what is written and read of roll-ups."""
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.test.utils import CaptureQueriesContext

    from django_lifesigns.history.objectives.state import read_states
    from django_lifesigns.history.objectives.targets import Target
    from django_lifesigns.history.rollups.backfill import backfill
    from django_lifesigns.history.rollups.figures import DURATIONS, FIGURES
    from django_lifesigns.history.rollups.reading import sums, tiles
    from django_lifesigns.history.rollups.writer import prune, roll_up
    from django_lifesigns.models import HealthCheckLog, Rollup

    call_command("migrate", "lifesigns", verbosity=0)
    fill(rows, checks)
    print(f"{HealthCheckLog.objects.count():,} rows of the log, {Rollup.objects.count():,} roll-ups, {checks} checks")
    names = [f"check_{number}" for number in range(checks)]

    at, count = time.time(), 0
    zero: dict[str, Any] = dict.fromkeys(FIGURES, 0)

    def write() -> None:
        nonlocal count
        count += 1
        sample: Any = {
            name: {
                **zero,
                "epoch": f"{number:016x}",
                "since": at,
                "at": at + 60.0 * count,
                "depends_on": [],
                "healthy": 60.0 * count,
                "unknown": 0.0,
                "durations": [count, *([0] * (len(DURATIONS) - 1))],
            }
            for number, name in enumerate(names)
        }
        with transaction.atomic():
            roll_up([sample], "default")

    write()
    show("rolling up a minute", write)
    with CaptureQueriesContext(connection) as captured:
        write()
    print(f"{len(captured):10} queries")
    now = time.time()
    targets = {name: Target(99.9, 30) for name in names}
    show("all objectives", lambda: read_states(targets, now))
    for days in (30, 90, 400):
        windows = {"all": tiles(now - days * 86_400, now, now)}
        show(f"all figures of {days} days", partial(sums, windows, FIGURES))
    recent = Rollup.objects.filter(period="day", start__gte=int(now) - 90 * 86_400)
    strips = recent.values_list("check_name", "start", "error")
    show("the days of 90 days, one by one", lambda: list(strips.all()), strips)
    show("removing what is too old", lambda: prune(now, "default"))
    began = time.perf_counter()
    rolled = backfill("check_0", 60.0)
    seconds = time.perf_counter() - began
    print(f"{1000 * seconds:10.1f} ms  backfill of {rolled:,} results of one check: {rolled / seconds:,.0f} a second")


def main() -> None:
    """Run in a minimal project on a database that goes with the process."""
    import django
    from django.conf import settings

    from tests.services import Postgres

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    checks = int(sys.argv[2]) if len(sys.argv) > 2 else 22
    with Postgres() as server:
        settings.configure(
            USE_TZ=True,
            INSTALLED_APPS=["django_lifesigns"],
            DATABASES={"default": server.database(engine="django.db.backends.postgresql")},
        )
        django.setup()
        measure(rows, checks)


if __name__ == "__main__":
    main()
