"""How long the dashboard takes beside a log of millions of rows and 400 days of roll-ups, on a PostgreSQL of its own.

python benches/dashboard.py [ROWS] [CHECKS ...]

Milliseconds are medians: of wall time, and of the CPU time of the process, which other processes change less. First:
all of the history is read for the page, as by a process that has just started. Later: what it has read is kept. Size:
of the compressed page. At the end stands what each number of checks takes as a multiple of the first one's CPU time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benches.histories.data import fill

RUNS = 7
HOME = "/health/dashboard/"
TOKEN = "of-the-benchmark-alone"
FORMS = {"page": "", "JSON": "?format=json"}


class Times(NamedTuple):
    """Medians in milliseconds."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:8.1f} ms, {self.cpu:7.1f} ms of CPU"


def milliseconds(function: Callable[[], object], before: Callable[[], object] = lambda: None) -> Times:
    """Return the medians of some runs after one that warms up."""
    walls, cpus = [], []
    for _ in range(RUNS + 1):
        before()
        began, used = time.perf_counter(), time.process_time()
        function()
        walls.append(1_000 * (time.perf_counter() - began))
        cpus.append(1_000 * (time.process_time() - used))
    return Times(statistics.median(walls[1:]), statistics.median(cpus[1:]))


def statements(function: Callable[[], object]) -> int:
    """Return how many statements it sends to the database, on whichever thread."""
    from django.db.backends.utils import CursorWrapper

    sent: list[str] = []
    execute = CursorWrapper.execute

    def counting(self: Any, sql: Any, params: Any = None) -> Any:
        sent.append(str(sql))
        return execute(self, sql, params)

    with patch.object(CursorWrapper, "execute", counting):
        function()
    return len(sent)


def measure(checks: int, objectives: bool) -> dict[str, Times]:
    """Print what the page of so many checks takes, and return it."""
    from django.conf import settings
    from django.test import Client

    from django_lifesigns.dashboard import history
    from django_lifesigns.history.objectives import current
    from django_lifesigns.runtime import engine
    from django_lifesigns.targets.catalogue import CATALOGUE

    def well() -> bool:
        return True

    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "DISABLED": list(CATALOGUE),
        "CHECKS": {f"check_{number}": {"check": well, "ttl": 3_600} for number in range(checks)},
        "OBJECTIVES": {"*": {"target": 99.9}} if objectives else {},
        "ALERTS": {"CHANNELS": {}},
        "SHARE": "process",
    }
    # However busy the machine is: what is measured is a page with its history.
    history.WAIT_SECONDS = 60.0
    engine.reset()
    engine.get_engine().run()
    client = Client(headers={"authorization": f"Bearer {TOKEN}", "accept-encoding": "gzip"})

    def get(url: str) -> Any:
        response = client.get(url)
        assert response.status_code == 200, response.content
        return response

    def forget() -> None:
        history._reset()
        current.forget()

    forget()
    data = Client(headers={"authorization": f"Bearer {TOKEN}"}).get(f"{HOME}?format=json").json()
    assert data["history_error"] is None
    assert all(check["strip"] for check in data["checks"])
    print(f"\n{checks:,} checks, {'with' if objectives else 'without'} objectives")
    found = {}
    for form, query in FORMS.items():

        def request(query: str = query) -> Any:
            return get(HOME + query)

        found[f"{form}, first"], found[f"{form}, later"] = milliseconds(request, forget), milliseconds(request)
        print(f"{found[f'{form}, first']}  {form}, first; {len(request().content) / 1_000:.0f} KB")
        print(f"{found[f'{form}, later']}  {form}, later")
    found["one check"] = milliseconds(lambda: get(f"{HOME}check_1/"))
    print(f"{found['one check']}  page of one check")
    forget()
    whole, single = statements(lambda: get(HOME)), statements(lambda: get(f"{HOME}check_1/"))
    print(f"{whole:8} statements of the page, {single} of one check")
    return found


def main() -> None:
    """Run in a minimal project on a database that goes with the process."""
    import django
    from django.conf import settings

    from tests.services import Postgres

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sizes = [int(word) for word in sys.argv[2:]] or [22]
    with ExitStack() as stack:
        server = stack.enter_context(Postgres())
        settings.configure(
            USE_TZ=True,
            SECRET_KEY="of the benchmark",
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF="django_lifesigns.urls",
            INSTALLED_APPS=["django_lifesigns"],
            DATABASES={"default": server.database(engine="django.db.backends.postgresql")},
            LIFESIGNS={},
        )
        django.setup()
        from django.core.management import call_command

        from django_lifesigns.models import HealthCheckLog, Rollup

        call_command("migrate", "lifesigns", verbosity=0)
        taken: dict[tuple[int, bool], dict[str, Times]] = {}
        for checks in sizes:
            for model in (HealthCheckLog, Rollup):
                model.objects.all()._raw_delete("default")
            fill(rows, checks)
            print(f"\n{HealthCheckLog.objects.count():,} rows of the log, {Rollup.objects.count():,} roll-ups")
            taken |= {(checks, has): measure(checks, has) for has in (False, True)}
    few, *more = sizes
    for checks in more:
        print(f"\n{checks:,} checks as a multiple of {few:,}, with objectives (CPU time)")
        for what, times in taken[checks, True].items():
            print(f"{times.cpu / taken[few, True][what].cpu:8.1f} x  {what}")


if __name__ == "__main__":
    main()
