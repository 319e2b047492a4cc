"""How long the dashboard takes beside a log of millions of rows and 400 days of roll-ups, on a PostgreSQL of its own.

python benches/dashboard.py [ROWS] [CHECKS ...]

Times are medians, and their ratio to `/health/` of the same run. Cold: the history is read for the page; warm: it was
read within the last 5 s. Size: of the compressed page.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benches.histories.data import fill

RUNS = 7
HOME = "/health/dashboard/"
TOKEN = "of-the-benchmark-alone"
FORMS = {"page": "", "JSON": "?format=json"}


def milliseconds(function: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Return the median of some runs after one that warms up."""
    times = []
    for _ in range(RUNS + 1):
        before()
        began = time.perf_counter()
        function()
        times.append(1_000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


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


def measure(checks: int, objectives: bool) -> None:
    """Print what the page of so many checks takes."""
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
    engine.reset()
    engine.get_engine().run()
    client = Client(headers={"authorization": f"Bearer {TOKEN}", "accept-encoding": "gzip"})

    def get(url: str) -> Any:
        response = client.get(url)
        assert response.status_code == 200, response.content
        return response

    def forget() -> None:
        history._reset()
        current._latest.pop("states", None)

    found = Client(headers={"authorization": f"Bearer {TOKEN}"}).get(f"{HOME}?format=json").json()
    assert found["history_error"] is None
    assert all(check["strip"] for check in found["checks"])
    base = milliseconds(lambda: get("/health/"))
    print(f"\n{checks:,} checks, {'with' if objectives else 'without'} objectives; /health/ takes {base:.1f} ms")
    for form, query in FORMS.items():
        cold = milliseconds(lambda query=query: get(HOME + query), forget)  # type: ignore[misc]
        warm = milliseconds(lambda query=query: get(HOME + query))  # type: ignore[misc]
        size = len(get(HOME + query).content) / 1_000
        print(f"{cold:8.1f} ms cold ({cold / base:.1f}), {warm:.1f} ms warm ({warm / base:.1f}), {size:.0f} KB  {form}")
    one = milliseconds(lambda: get(f"{HOME}check_1/"))
    print(f"{one:8.1f} ms page of one check")
    forget()
    whole, single = statements(lambda: get(HOME)), statements(lambda: get(f"{HOME}check_1/"))
    print(f"{whole:8} queries of the page, {single} of one check")


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
        fill(rows, max(sizes))
        print(f"{HealthCheckLog.objects.count():,} rows of the log, {Rollup.objects.count():,} roll-ups")
        for checks in sizes:
            for objectives in (False, True):
                measure(checks, objectives)


if __name__ == "__main__":
    main()
