"""Projects with several databases, and with none: which of them have to be migrated before the project has started."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_text

PROGRAM = """
import json, time
import django
django.setup()
from django.core.management import call_command
from django.test import Client
for alias in MIGRATED:
    call_command("migrate", database=alias, verbosity=0)
client = Client(headers={"host": "localhost"})
end = time.monotonic() + 20
while True:
    answer = client.get("/startup/")
    found = answer.json()["checks"].get("migrations_applied", {})
    if found.get("status") in ("healthy", "error") and "pending" not in found and not found.get("error_type"):
        break
    assert time.monotonic() < end, found
    time.sleep(0.1)
print(json.dumps(found))
"""
FOREIGN = """
CREATE TABLE django_migrations (id integer PRIMARY KEY, app text, name text, applied datetime);
INSERT INTO django_migrations (app, name, applied) VALUES
('auth', '0001_initial', '2020-01-01'), ('theirs', '0001_initial', '2020-01-01');
"""
OURS = FOREIGN.replace("theirs", "lifesigns")
ROUTER = """
class Router:
    def allow_migrate(self, db, app_label, **hints):
        return db == "default"

class Everywhere:
    def allow_migrate(self, db, app_label, **hints):
        return True
"""


def migrations(folder: Path, settings: str, *migrated: str) -> Any:
    text = (
        f"from pathlib import Path\nFOLDER = Path({str(folder)!r})\nSQLITE = 'django.db.backends.sqlite3'\n{settings}"
    )
    done = run_text(folder, text, "-c", f"MIGRATED = {[*migrated]}\n{PROGRAM}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def other(folder: Path, statements: str) -> str:
    with closing(sqlite3.connect(folder / "other.sqlite3")) as connection:
        connection.executescript(statements)
    return "DATABASES['other'] = {'ENGINE': SQLITE, 'NAME': FOLDER / 'other.sqlite3'}"


def test_startup__database_of_another_project(tmp_path: Path) -> None:
    assert migrations(tmp_path, other(tmp_path, FOREIGN), "default")["status"] == "healthy"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("", "healthy"),  # without a router Django sends nothing there
        ("; DATABASE_ROUTERS = ['routing.Everywhere']", "error"),
        ("; DATABASES['other']['TEST'] = {'MIRROR': 'default'}", "healthy"),
        ("; DATABASE_ROUTERS = ['routing.Router']", "healthy"),
    ],
)
def test_startup__database_of_this_project(tmp_path: Path, more: str, status: str) -> None:
    (tmp_path / "routing.py").write_text(ROUTER)
    found = migrations(tmp_path, other(tmp_path, OURS) + more, "default")
    assert found["status"] == status
    assert status == "healthy" or list(found["details"]["unapplied"]) == ["other"]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_startup__further_database_that_does_not_answer(tmp_path: Path, host: str) -> None:
    pytest.importorskip("psycopg")
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "app", "HOST": host, "PORT": "1"}
    assert migrations(tmp_path, f"DATABASES['other'] = {database}", "default")["status"] == "healthy"


def test_startup__no_database(tmp_path: Path) -> None:
    assert migrations(tmp_path, "DATABASES = {}")["status"] == "healthy"
