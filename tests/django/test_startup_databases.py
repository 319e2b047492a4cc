"""`/startup/` and the databases of a project: those that it migrates count, the others keep no pod from starting."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import django_lifesigns
from tests.django.projects import run_json
from tests.services import free_port

ROUTER = """
class Router:
    def db_for_read(self, model, **hints):
        return "history" if model._meta.app_label == "lifesigns" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        if app_label == "lifesigns":
            return db == "history"
        return False if db == "history" else None
"""
READ_ONLY = """
class Router:
    def db_for_read(self, model, **hints):
        return "further"
"""
PROGRAM = """
import json, time
from django.core.management import call_command
from django.test import Client

for alias in MIGRATED:
    call_command("migrate", database=alias, verbosity=0)
client = Client(headers={"host": "localhost"})
ended = time.monotonic() + 60
while time.monotonic() < ended:
    response = client.get("/startup/")
    result = response.json()["checks"]["migrations_applied"]
    # On a busy machine a database may not have been asked in time.
    if not result.get("pending") and "NotStartedError" not in str(result):
        break
    time.sleep(0.2)
print(json.dumps([response.status_code, result["message"], result.get("details", {})]))
"""


def started(folder: Path, migrated: list[str], further: dict[str, Any], routers: str = "") -> Any:
    """The code of `/startup/` and the result on migrations, of a project with further databases."""
    (folder / "routing.py").write_text(routers)
    settings: dict[str, Any] = {
        "DATABASES": {"default": sqlite(folder / "default"), **further},
        "DATABASE_ROUTERS": ["routing.Router"] if routers else [],
        "LIFESIGNS": {"SHOW_DETAILS": "always", "DISABLED": ["disk_space"]},
    }
    return run_json(folder, settings, PROGRAM.replace("MIGRATED", repr(migrated)))


def sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


def postgres(port: int) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": port, "NAME": "x", "USER": "x"}


APPLIED = "All migrations are applied"
MIGRATIONS = Path(django_lifesigns.__file__).parent / "migrations"


@pytest.mark.parametrize("routers", ["", READ_ONLY], ids=["no router", "no word of migrations"])
def test_another_projects_database__does_not_count(tmp_path: Path, routers: str) -> None:
    with closing(sqlite3.connect(tmp_path / "legacy")) as connection:
        connection.executescript(
            "CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT);"
            "INSERT INTO django_migrations (app, name, applied) VALUES ('auth', '0001_initial', '2020-01-01')"
        )
    found = started(tmp_path, ["default"], {"legacy": sqlite(tmp_path / "legacy")}, routers)
    assert found == [200, APPLIED, {}]


def test_database_of_a_router__counts(tmp_path: Path) -> None:
    further = {"history": sqlite(tmp_path / "history")}
    code, message, details = started(tmp_path, ["default"], further, ROUTER)
    ours = [f"lifesigns.{path.stem}" for path in sorted(MIGRATIONS.glob("0*.py"))]
    assert (code, message) == (503, f"{len(ours)} migrations are not applied")
    assert details == {"unapplied": {"history": ours}}
    assert started(tmp_path, ["default", "history"], further, ROUTER) == [200, APPLIED, {}]


def test_default__without_its_migrations(tmp_path: Path) -> None:
    code, message, details = started(tmp_path, [], {})
    assert code == 503
    assert message.endswith("migrations are not applied")
    assert list(details["unapplied"]) == ["default"]


def test_mirror__does_not_count(tmp_path: Path) -> None:
    mirror = {**sqlite(tmp_path / "mirror"), "TEST": {"MIRROR": "default"}}
    assert started(tmp_path, ["default"], {"history": mirror}, ROUTER)[0] == 200


def test_further_database__that_is_down(tmp_path: Path) -> None:
    found = started(tmp_path, ["default"], {"history": postgres(free_port())}, ROUTER)
    assert found == [200, APPLIED, {"unreachable": {"history": "OperationalError"}}]


def test_further_database__that_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = started(tmp_path, ["default"], {"history": postgres(listener.getsockname()[1])}, ROUTER)
    assert found == [200, APPLIED, {"unreachable": {"history": "TimeoutError"}}]


def test_default__that_is_nothing(tmp_path: Path) -> None:
    """As in a project whose routers send all to named databases."""
    everything = 'class Router:\n    def allow_migrate(self, db, app_label, **hints): return db == "main"\n'
    everything += '    def db_for_read(self, model, **hints): return "main"\n    db_for_write = db_for_read\n'
    (tmp_path / "routing.py").write_text(everything)
    settings: dict[str, Any] = {
        "DATABASES": {"default": {}, "main": sqlite(tmp_path / "main")},
        "DATABASE_ROUTERS": ["routing.Router"],
        "LIFESIGNS": {"SHOW_DETAILS": "always", "DISABLED": ["disk_space", "database_connectivity"]},
    }
    found = run_json(tmp_path, settings, PROGRAM.replace("MIGRATED", "['main']"))
    assert found == [200, APPLIED, {}]
