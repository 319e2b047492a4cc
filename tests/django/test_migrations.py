"""The first migration: it adopts the replaced application's tables, or creates its own; and back."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.django.conftest import NewDatabase
from tests.django.projects import run_json

REPLACED = Path(__file__).with_name("replaced")
TABLES = ["core_alert_threshold", "core_health_check_log", "core_service_availability"]
PRELUDE = """
import json
from django.core.management import call_command
from django.db import connection
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability

def migrate(*target):
    call_command("migrate", "lifesigns", *target, verbosity=0)

def tables():
    names = connection.introspection.table_names()
    return sorted(name for name in names if name.startswith(("core_", "lifesigns_")))

def indexes(table="core_health_check_log"):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    return [item["columns"] for item in found if item["index"]]
"""
BOTH_WAYS = (
    PRELUDE
    + """
migrate()
made, found = tables(), indexes()
HealthCheckLog.log_check("x", {"status": "healthy", "message": "fine", "details": {}, "duration_ms": 1.0})
migrate("zero")
left = tables()
migrate()
print(json.dumps({"made": made, "indexes": found, "left": left, "rows": HealthCheckLog.objects.count()}))
"""
)
ADOPT = (
    PRELUDE
    + """
migrate()
made, found = tables(), indexes()
availability = ServiceAvailability.objects.get(service_name="disk_space")
availability.record_check("healthy")
HealthCheckLog.log_check("disk_space", {"status": "degraded", "message": "new"})
columns = ("check_name", "status", "message", "details", "duration_ms")
before = [list(row) for row in HealthCheckLog.objects.values_list(*columns)]
counts = [availability.total_checks, availability.successful_checks, availability.uptime_percentage]
warning = AlertThreshold.get_threshold("disk_usage")
migrate("zero")
left = tables()
migrate()
print(json.dumps({
    "made": made, "indexes": found, "rows": before, "counts": counts, "warning": warning, "left": left,
    "again": tables(), "kept": HealthCheckLog.objects.count(),
}))
"""
)


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> str:
    """The statements that make the replaced application's tables."""
    return (REPLACED / f"{request.node.callspec.params['new_database']}.sql").read_text()


def run(tmp_path: Path, database: dict[str, Any], program: str) -> Any:
    return run_json(tmp_path, {"DATABASES": {"default": database}}, program)


def test_migration__creates_and_removes(new_database: NewDatabase, tmp_path: Path) -> None:
    done = run(tmp_path, new_database(), BOTH_WAYS)
    assert done["made"] == TABLES
    assert sorted(columns for columns in done["indexes"] if "id" not in columns) == [
        ["check_name", "checked_at"],
        ["checked_at"],
        ["status", "checked_at"],
    ]
    assert done["left"] == []
    assert done["rows"] == 0


def test_migration__adopts_tables_with_their_rows(new_database: NewDatabase, tables: str, tmp_path: Path) -> None:
    done = run(tmp_path, new_database(tables), ADOPT)
    assert done["made"] == [*TABLES, "lifesigns_adopted_table"]
    assert done["rows"] == [
        ["disk_space", "degraded", "new", {}, 0.0],
        ["disk_space", "error", "full", {}, 2.5],
        ["disk_space", "healthy", "fine", {"free": 1}, 1.5],
    ]
    assert done["counts"] == [4, 3, 75.0]
    assert done["warning"] == 70.0
    # What was missing was added, what was there was not made twice.
    assert [done["indexes"].count(columns) for columns in (["check_name", "checked_at"], ["status", "checked_at"])] == [
        1,
        1,
    ]
    # Going back leaves what somebody else made, and forward again finds it.
    assert done["left"] == TABLES
    assert done["again"] == [*TABLES, "lifesigns_adopted_table"]
    assert done["kept"] == 3


def test_migration__adopts_a_table_of_an_older_version(new_database: NewDatabase, tables: str, tmp_path: Path) -> None:
    """One table only, without a column that came later."""
    older = tables[: tables.index("CREATE TABLE core_service_availability")]
    older = older.replace("NOT NULL,\n    correlation_id", "NOT NULL, correlation_id")
    lines = [line for line in older.splitlines() if not line.startswith("CREATE INDEX")]
    statements = "\n".join(lines) + "\nALTER TABLE core_health_check_log DROP COLUMN correlation_id;"
    done = run(tmp_path, new_database(statements), BOTH_WAYS)
    assert done["made"] == [*TABLES, "lifesigns_adopted_table"]
    assert done["left"] == ["core_health_check_log"]
    assert done["rows"] == 1


def test_migration__existing_tables_are_not_taken_for_its_own(
    new_database: NewDatabase, tables: str, tmp_path: Path
) -> None:
    program = PRELUDE + (
        'call_command("migrate", fake_initial=True, verbosity=0)\nmigrate("zero")\nprint(json.dumps(tables()))'
    )
    assert run(tmp_path, new_database(tables), program) == TABLES


@pytest.mark.django_db
def test_migration__matches_the_models() -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()
