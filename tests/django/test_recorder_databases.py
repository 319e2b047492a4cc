"""The recorder and real databases: many processes at once, and a PostgreSQL that hangs, is gone or only reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.django.conftest import NewDatabase
from tests.django.projects import environment, run, run_json
from tests.services import Postgres

PROCESSES, SWEEPS = 8, 25
TOTALS = """
import json
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
fields = ("total_checks", "successful_checks", "failed_checks", "uptime_percentage")
print(json.dumps({
    "rows": HealthCheckLog.objects.count(),
    **{name: rest for name, *rest in ServiceAvailability.objects.values_list("service_name", *fields)},
}))
"""
FAULT = """
import json, sys, time
import django
django.setup()
from django_lifesigns.history import recorder
from tests.django.recording import report

def say(**facts):
    print(json.dumps(facts), flush=True)
    sys.stdin.readline()

say(written=recorder.record(report(0, 0), wait=20))
began = time.monotonic()
written = [recorder.record(report(0, number)) for number in range(1, 4)]
say(written=any(written), seconds=time.monotonic() - began)
say(written=recorder.flush(2))
say(written=any(recorder.flush(1) for _ in range(30)))
"""


class Program:
    """A Python program in the project, which says a line of JSON and waits for one to go on."""

    def __init__(self, folder: Path, settings: dict[str, Any], text: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", text],
            env=environment(folder, settings),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def go_on(self) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.hear()


def make_tables(tmp_path: Path, database: dict[str, Any]) -> dict[str, Any]:
    settings = {"DATABASES": {"default": database}}
    done = run(tmp_path, settings, "-m", "django", "migrate", "lifesigns", "--verbosity=0")
    assert done.returncode == 0, done.stderr
    return settings


def empty_history(server: Postgres, tmp_path: Path) -> dict[str, Any]:
    """Settings of a project with an empty history in a database of its own."""
    name = f"recorder_{uuid4().hex}"
    server.sql(f"CREATE DATABASE {name} OWNER app")
    return make_tables(tmp_path, {**server.database(engine="django.db.backends.postgresql"), "NAME": name})


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A PostgreSQL that may be harmed."""
    with Postgres() as server:
        yield server


def test_record__eight_processes_lose_nothing(new_database: NewDatabase, tmp_path: Path) -> None:
    # Each has results of its own: of those that share them, two of the same microsecond would be one.
    settings = {**make_tables(tmp_path, new_database()), "LIFESIGNS": {"SHARE": "process"}}
    done = run(tmp_path, settings, "-W", "ignore", "-m", "tests.django.recording", str(PROCESSES), str(SWEEPS))
    assert done.returncode == 0, done.stderr
    sweeps = PROCESSES * SWEEPS + 1
    bad = PROCESSES * (SWEEPS // 2)
    assert run_json(tmp_path, settings, TOTALS) == {
        "rows": 2 * sweeps,
        "good": [sweeps, sweeps, 0, 100.0],
        "bad": [sweeps, sweeps - bad, bad, pytest.approx(100 * (sweeps - bad) / sweeps)],
    }


def only_read(server: Postgres) -> None:
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    server.sql("SELECT pg_reload_conf()")


def read_and_write(server: Postgres) -> None:
    server.sql("ALTER SYSTEM RESET default_transaction_read_only")
    server.sql("SELECT pg_reload_conf()")


@pytest.mark.services
@pytest.mark.parametrize(
    ("harm", "heal"),
    [(Postgres.suspend, Postgres.resume), (Postgres.kill, Postgres.start), (only_read, read_and_write)],
    ids=["stopped", "killed", "read-only"],
)
def test_failure__nothing_blocks_and_nothing_is_lost(
    own_server: Postgres, tmp_path: Path, harm: Callable[[Postgres], None], heal: Callable[[Postgres], None]
) -> None:
    settings = empty_history(own_server, tmp_path)
    with Program(tmp_path, settings, FAULT) as program:
        assert program.hear() == {"written": True}
        harm(own_server)
        try:
            answer = program.go_on()
            assert answer["written"] is False
            assert answer["seconds"] < 1.0
            assert program.go_on() == {"written": False}
        finally:
            heal(own_server)
        assert program.go_on() == {"written": True}
    totals = run_json(tmp_path, settings, TOTALS)
    assert (totals["rows"], totals["good"][0], totals["bad"][0]) == (8, 4, 4)
