"""How long a history of millions of rows takes to be read and written, on a PostgreSQL of its own, with queries' plans.

python benches/history.py [--rows 1000000] [--checks 22]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benches.histories.data import CHECKS, fill
from benches.histories.log import measure_admin, measure_commands, measure_log
from benches.histories.rollups import measure_rollups


def measure(rows: int, checks: int) -> None:
    """Fill the history, and run everything that reads and writes it."""
    from django.core.management import call_command

    from django_lifesigns.models import HealthCheckLog, Rollup

    call_command("migrate", verbosity=0, fake_initial=True)
    began = time.perf_counter()
    fill(rows, checks)
    print(f"{time.perf_counter() - began:10.2f} s   filling it")
    count = HealthCheckLog.objects.count()
    print(f"{count:,} rows of the log, {Rollup.objects.count():,} roll-ups, {checks} checks", flush=True)
    measure_admin()
    measure_log(checks)
    measure_rollups(checks)
    measure_commands()


def main() -> None:
    """Run in a minimal project on a database that goes with the process."""
    import django
    from django.conf import settings

    from tests.django.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES
    from tests.services import Postgres

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the log")
    parser.add_argument("--checks", type=int, default=CHECKS)
    arguments = parser.parse_args()
    with Postgres() as server:
        settings.configure(
            USE_TZ=True,
            SECRET_KEY="of-a-benchmark",
            ALLOWED_HOSTS=["localhost"],
            INSTALLED_APPS=INSTALLED_APPS,
            MIDDLEWARE=MIDDLEWARE,
            TEMPLATES=TEMPLATES,
            ROOT_URLCONF="tests.django.urls",
            STATIC_URL="static/",
            DATABASES={"default": server.database(engine="django.db.backends.postgresql")},
        )
        django.setup()
        measure(arguments.rows, arguments.checks)


if __name__ == "__main__":
    main()
