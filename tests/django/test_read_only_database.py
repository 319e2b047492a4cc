"""A project on a database that only reads, as a warm-standby site is: ready, and its history waits, said once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, InternalError, OperationalError

from django_lifesigns.checks.read_only import is_read_only
from tests.django.projects import run, run_json
from tests.services import Postgres
from tests.services.cluster import USER
from tests.services.postgres import Standby

CACHE = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"}}
PROGRAM = """
import json, logging, time
from django.test import Client

class Lines(logging.Handler):
    texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())

logging.getLogger("django_lifesigns").addHandler(Lines())
client = Client(headers={"host": "localhost"})
answers = {}
deadline = time.monotonic() + 30
for path in ("/ready/", "/startup/", "/health/", "/health/detailed/"):
    while True:
        response = client.get(path)
        # Migrations are read beside the first request, which has a budget.
        if response.status_code == 200 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    answers[path] = [response.status_code, response.json()]

from django_lifesigns.history import recorder
for _ in range(3):
    client.get("/health/detailed/?refresh=1")
    recorder.flush(5)
waiting = recorder.waiting()
recorder._flush_at_exit()
print(json.dumps({"answers": answers, "waiting": waiting, "log": [text for text in Lines.texts if "history" in text]}))
"""


def settings_of(server: Any, name: str) -> dict[str, Any]:
    entry = Postgres.database(server, engine="django.db.backends.postgresql")
    return {
        "DATABASES": {"default": {**entry, "NAME": name}},
        "CACHES": CACHE,
        "LIFESIGNS": {"SHOW_DETAILS": "always", "NETWORKS": ["127.0.0.1"], "DISABLED": ["disk_space", "memory_usage"]},
    }


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """With the tables of a project in the database `site`, and what its checks look for."""
    with Postgres() as server:
        server.sql(f"CREATE DATABASE site OWNER {USER}")
        server.create_objects("site")
        folder, settings = tmp_path_factory.mktemp("primary"), settings_of(server, "site")
        for command in (["migrate", "--verbosity", "0"], ["createcachetable"]):
            done = run(folder, settings, "-m", "django", *command)
            assert done.returncode == 0, done.stderr
        yield server


@pytest.fixture(params=["standby", "default_transaction_read_only"])
def read_only(request: pytest.FixtureRequest, primary: Postgres) -> Iterator[Any]:
    """A hot standby, or the server itself for a role that only reads."""
    if request.param == "standby":
        with Standby(primary) as standby:
            yield standby
        return
    primary.sql(f"ALTER ROLE {USER} SET default_transaction_read_only = on")
    try:
        yield primary
    finally:
        primary.sql(f"ALTER ROLE {USER} RESET default_transaction_read_only")


@pytest.mark.services
def test_site_on_a_read_only_database_is_ready_and_says_once_what_stays(
    primary: Postgres, read_only: Any, tmp_path: Path
) -> None:
    rows = primary.sql("SELECT count(*) FROM core_health_check_log", "site")
    found = run_json(tmp_path, settings_of(read_only, "site"), PROGRAM)
    answers = found["answers"]
    assert {path: code for path, (code, _) in answers.items()} == dict.fromkeys(answers, 200), answers
    statuses = {path: body["status"] for path, (_, body) in answers.items()}
    assert (statuses["/ready/"], statuses["/startup/"]) == ("ready", "started")
    _, report = answers["/health/detailed/"]
    bad = {name: check for name, check in report["checks"].items() if check["status"] not in ("healthy", "skipped")}
    assert bad == {}
    cache = report["checks"]["default_cache"]
    assert (cache["status"], cache["message"]) == ("healthy", "Cache 'default' is read; its database is read-only")
    assert cache["details"]["read_write_test"] == "read-only"
    [line] = found["log"]
    assert line.startswith("history: cannot be written (the database is read-only), ")
    assert found["waiting"] > 0
    assert primary.sql("SELECT count(*) FROM core_health_check_log", "site") == rows


class DriverError(Exception):
    sqlstate: str | None = None


class ReadOnlySqlTransactionError(DriverError):
    sqlstate = "25006"


class UniqueViolationError(DriverError):
    sqlstate = "23505"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (ReadOnlySqlTransactionError("cannot execute INSERT in a read-only transaction"), True),
        (UniqueViolationError("a readonly database"), False),
        (DriverError("attempt to write a readonly database"), True),
        (DriverError(1290, "running with the --read-only option"), True),
        (DriverError(1062, "Duplicate entry"), False),
        (DriverError("database is locked"), False),
        (DriverError(), False),
        (None, False),
    ],
)
@pytest.mark.parametrize("kind", [OperationalError, InternalError])
def test_read_only_error_is_distinguished_from_others(
    kind: type[DatabaseError], cause: Exception | None, expected: bool
) -> None:
    error = kind(*(cause.args if cause else ()))
    error.__cause__ = cause
    assert is_read_only(error) is expected


def test_cache_in_a_read_only_sqlite_file_is_read(tmp_path: Path) -> None:
    settings = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}},
        "CACHES": CACHE,
    }
    done = run(tmp_path, settings, "-m", "django", "createcachetable")
    assert done.returncode == 0, done.stderr
    read = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"file:{tmp_path}/db.sqlite3?mode=ro",
        "OPTIONS": {"uri": True},
    }
    program = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().check("default_cache")))
"""
    found = run_json(tmp_path, {**settings, "DATABASES": {"default": read}}, program)
    assert (found["status"], found["details"]["read_write_test"]) == ("healthy", "read-only")
