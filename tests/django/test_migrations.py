"""The first migration: it adopts the replaced application's tables, or creates its own; and back."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.django.conftest import NewDatabase
from tests.django.projects import run_json

REPLACED = Path(__file__).with_name("replaced")
TABLES = ["core_alert_threshold", "core_health_check_log", "core_service_availability"]
CREATED = "lifesigns_created_table"
# Those that the replaced application does not have.
OWN = [
    "lifesigns_action",
    "lifesigns_action_switch",
    CREATED,
    "lifesigns_delivery",
    "lifesigns_incident",
    "lifesigns_rollup",
    "lifesigns_silence",
]
PRELUDE = """
import json
from io import StringIO
from django.core.management import call_command
from django.db import connection
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability

def migrate(*target, **options):
    out = StringIO()
    call_command("migrate", "lifesigns", *target, **{"verbosity": 0, "stdout": out, **options})
    return out.getvalue()

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
    assert done["made"] == [*TABLES, *OWN]
    assert sorted(columns for columns in done["indexes"] if "id" not in columns) == [
        ["check_name", "checked_at"],
        ["checked_at"],
        ["status", "checked_at"],
    ]
    assert done["left"] == []
    assert done["rows"] == 0


def test_migration__adopts_tables_with_their_rows(new_database: NewDatabase, tables: str, tmp_path: Path) -> None:
    done = run(tmp_path, new_database(tables), ADOPT)
    assert done["made"] == [*TABLES, *OWN]
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
    assert done["again"] == [*TABLES, *OWN]
    assert done["kept"] == 3


def test_migration__adopts_a_table_of_an_older_version(new_database: NewDatabase, tables: str, tmp_path: Path) -> None:
    """One table only, without a column that came later."""
    older = tables[: tables.index("CREATE TABLE core_service_availability")]
    older = older.replace("NOT NULL,\n    correlation_id", "NOT NULL, correlation_id")
    lines = [line for line in older.splitlines() if not line.startswith("CREATE INDEX")]
    statements = "\n".join(lines) + "\nALTER TABLE core_health_check_log DROP COLUMN correlation_id;"
    done = run(tmp_path, new_database(statements), BOTH_WAYS)
    assert done["made"] == [*TABLES, *OWN]
    assert done["left"] == ["core_health_check_log"]
    assert done["rows"] == 1


def test_migration__existing_tables_are_not_taken_for_its_own(
    new_database: NewDatabase, tables: str, tmp_path: Path
) -> None:
    program = PRELUDE + (
        'call_command("migrate", fake_initial=True, verbosity=0)\nmigrate("zero")\nprint(json.dumps(tables()))'
    )
    assert run(tmp_path, new_database(tables), program) == TABLES


@pytest.mark.parametrize("is_whole", [True, False])
def test_migration__faked_back_and_forward_again(
    new_database: NewDatabase, tables: str, tmp_path: Path, is_whole: bool
) -> None:
    program = PRELUDE + (
        "migrate()\nmigrate('zero', fake=True)\nmigrate()\nmigrate('zero')\nprint(json.dumps(tables()))"
    )
    # What it adopted stays, and what it created goes.
    log_only = tables[: tables.index("CREATE TABLE core_service_availability")]
    left = run(tmp_path, new_database(tables if is_whole else log_only), program)
    assert left == (TABLES if is_whole else ["core_health_check_log"])


# What an adopted table lacks

LACKING = PRELUDE + (
    """
from django.db import IntegrityError, transaction
out = migrate(verbosity=1)
ServiceAvailability.objects.record([("disk_space", "healthy", ServiceAvailability.objects.first().created_at)])
HealthCheckLog.log_check("disk_space", {"status": "degraded", "message": "new"})
try:
    with transaction.atomic():
        AlertThreshold.objects.create(metric_type="disk_usage", alert_level="warning", threshold_value=1)
    unique = False
except IntegrityError:
    unique = True
with connection.cursor() as cursor:
    cursor.execute("SELECT site FROM core_health_check_log ORDER BY id")
    extra = [row[0] for row in cursor.fetchall()]
services = list(ServiceAvailability.objects.values_list("service_name", "total_checks", "successful_checks"))
print(json.dumps({
    "out": out, "unique": unique, "extra": extra, "services": services, "indexes": indexes(),
    "rows": list(HealthCheckLog.objects.order_by("pk").values_list("message", "duration_ms")),
    "thresholds": list(AlertThreshold.objects.order_by("metric_type").values_list("metric_type", "threshold_value")),
    "quiet": migrate("zero") + migrate(),
}))
"""
)
TIMES = "'2025-09-01 10:00:00', '2025-09-02 10:00:00'"
AVAILABILITY = "service_name, total_checks, successful_checks, failed_checks, degraded_checks, uptime_percentage"
THRESHOLD = "metric_type, alert_level, threshold_value, enabled, description, created_at, updated_at"


def lacking(tables: str) -> str:
    """The same tables with a column of their own, and without constraints, most indexes and some columns."""
    lines = [line for line in tables.splitlines() if not line.startswith("CREATE INDEX")]
    text = "\n".join(lines).replace("(100) NOT NULL UNIQUE", "(100) NOT NULL")
    text = re.sub(r",\s+UNIQUE \(metric_type, alert_level\)", "", text)
    # Of the log only what came first: neither message, details nor duration.
    log = text[: text.index(");") + 2]
    kept = [line for line in log.splitlines() if not re.match(r" +(message|details|duration_ms) ", line)]
    text = text.replace(
        log, "\n".join(kept).replace("correlation_id", "site varchar(20) DEFAULT 'x',\n    correlation_id")
    )
    text = text.replace("status, message, details, duration_ms, checked_at)", "status, checked_at)")
    text = re.sub(r"'(healthy|error)', '\w+', '[^']*', [\d.]+, ", r"'\1', ", text)
    return text + (
        f"INSERT INTO core_service_availability ({AVAILABILITY}, created_at, updated_at) "
        f"VALUES ('disk_space', 5, 4, 1, 0, 80, {TIMES});\n"
        f"INSERT INTO core_alert_threshold ({THRESHOLD}) VALUES "
        f"('disk_usage', 'warning', 60, false, '', {TIMES}), ('latency', 'warning', 9, true, '', {TIMES});\n"
    )


def test_adoption__of_tables_that_lack_nearly_everything(
    new_database: NewDatabase, tables: str, tmp_path: Path
) -> None:
    done = run(tmp_path, new_database(lacking(tables)), LACKING)
    assert done["unique"] is True
    assert done["extra"] == ["x"] * 3
    # Two rows of one service are one with the counts of both.
    assert done["services"] == [["disk_space", 9, 7]]
    assert done["rows"] == [["", 0], ["", 0], ["new", 0]]
    assert sorted(columns for columns in done["indexes"] if columns != ["id"]) == [
        ["check_name", "checked_at"],
        ["checked_at"],
        ["status", "checked_at"],
    ]
    # Of two thresholds the enabled one; one of a metric that no check has stays.
    assert done["thresholds"] == [["disk_usage", 70.0], ["latency", 9.0]]
    out = done["out"]
    assert "2 rows of disk_space are one now" in out
    assert "govern from now on: disk_usage warning 70.0 (default 80)" in out
    assert "no check has the thresholds latency warning" in out
    assert done["quiet"] == ""


WITHOUT_KEY = (
    PRELUDE
    + """
migrate()
HealthCheckLog.log_check("new", {"status": "healthy", "message": "fine"})
ServiceAvailability.objects.record([("disk_space", "healthy", ServiceAvailability.objects.first().created_at)])
AlertThreshold.objects.create(metric_type="cpu_load", alert_level="warning", threshold_value=1)
with connection.cursor() as cursor:
    cursor.execute("SELECT site FROM core_health_check_log ORDER BY id")
    extra = [row[0] for row in cursor.fetchall()]
keys = {}
for model in (HealthCheckLog, ServiceAvailability, AlertThreshold):
    keys[model.__name__] = list(model.objects.order_by("pk").values_list("pk", flat=True))
HealthCheckLog.objects.get(pk=keys["HealthCheckLog"][-1]).delete()
print(json.dumps({
    "keys": keys, "extra": extra, "indexes": indexes(),
    "messages": list(HealthCheckLog.objects.order_by("pk").values_list("message", flat=True)),
    "total": ServiceAvailability.objects.get().total_checks,
    "again": [migrate("zero", fake=True), migrate(), HealthCheckLog.objects.count()][-1],
}))
"""
)
NO_KEY = re.compile(r"\n    id [^\n]*")


@pytest.mark.parametrize("kind", ["none", "of another name", "of two columns"])
def test_adoption_adds_primary_key_whatever_the_table_has(
    new_database: NewDatabase, tables: str, tmp_path: Path, kind: str
) -> None:
    own_column = ("    correlation_id", "    site varchar(20) DEFAULT 'x',\n    correlation_id")
    text = NO_KEY.sub("", tables).replace(*own_column, 1)
    if kind == "of another name":
        text = text.replace(
            "health_check_log (\n", "health_check_log (\n    entry varchar(9) DEFAULT 'new' PRIMARY KEY,\n", 1
        )
        for old, new in (
            ("(check_name, status,", "(entry, check_name, status,"),
            ("('disk_space', 'healthy'", "('a', 'disk_space', 'healthy'"),
            ("('disk_space', 'error'", "('b', 'disk_space', 'error'"),
        ):
            text = text.replace(old, new, 1)
    elif kind == "of two columns":
        text = text.replace("UNIQUE (metric_type", "PRIMARY KEY (metric_type")
    done = run(tmp_path, new_database(text), WITHOUT_KEY)
    assert done["keys"] == {"HealthCheckLog": [1, 2, 3], "ServiceAvailability": [1], "AlertThreshold": [1, 2]}
    assert done["extra"] == ["x"] * 3
    assert done["messages"] == ["fine", "full"]
    assert (done["total"], done["again"]) == (4, 2)
    assert [done["indexes"].count(columns) for columns in (["check_name", "checked_at"], ["status"])] == [1, 1]


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_adoption__announces_nothing_where_there_is_nothing(new_database: NewDatabase, tmp_path: Path) -> None:
    out = run(tmp_path, new_database(), PRELUDE + "print(json.dumps(migrate(verbosity=1)))")
    assert "core_" not in out


@pytest.mark.parametrize("new_database", ["sqlite", "postgresql"], indirect=True)
def test_adoption__says_that_a_column_needs_a_default(new_database: NewDatabase, tables: str, tmp_path: Path) -> None:
    without_rows = tables[: tables.index("INSERT INTO")]
    wanting = re.sub(r"    (message \w+ NOT NULL,)", r"    site varchar(9) NOT NULL,\n    \1", without_rows, count=1)
    out = run(tmp_path, new_database(wanting), PRELUDE + "print(json.dumps(migrate(verbosity=1)))")
    assert "core_health_check_log: the column site needs a default" in out


# What going back may drop

ROUTER = """
import os

class Router:
    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if app_label == "lifesigns" and model_name in os.environ.get("REFUSED", "").split():
            return False
        return None
"""
REFUSED = "healthchecklog serviceavailability alertthreshold incident delivery rollup silence actionrun actionswitch"


def test_back__after_a_router_said_no_drops_nothing(
    new_database: NewDatabase, tables: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refusing.py").write_text(ROUTER)
    settings = {"DATABASES": {"default": new_database(tables)}, "DATABASE_ROUTERS": ["refusing.Router"]}
    monkeypatch.setenv("REFUSED", REFUSED)
    migrated = PRELUDE + "migrate()\nprint(json.dumps(tables()))"
    assert run_json(tmp_path, settings, migrated) == TABLES
    # The router is gone, or has changed its mind.
    monkeypatch.delenv("REFUSED")
    back = PRELUDE + "migrate('zero')\nprint(json.dumps([tables(), HealthCheckLog.objects.count()]))"
    assert run_json(tmp_path, settings, back) == [TABLES, 2]


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
def test_back__of_a_tenant_leaves_the_shared_tables(new_database: NewDatabase, tmp_path: Path) -> None:
    database = new_database()
    shared = (
        PRELUDE
        + """
migrate()
with connection.cursor() as cursor:
    cursor.execute("CREATE SCHEMA tenant; CREATE TABLE tenant.django_migrations (LIKE django_migrations INCLUDING ALL)")
print(json.dumps(tables()))
"""
    )
    assert run(tmp_path, database, shared) == [*TABLES, *OWN]
    database["OPTIONS"] = {**database.get("OPTIONS", {}), "options": "-c search_path=tenant,public"}
    tenant = PRELUDE + "migrate()\nmigrate('zero')\nprint(json.dumps(tables()))"
    assert run(tmp_path, database, tenant) == [*TABLES, *OWN]


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_forward__obeys_the_router_of_each_model(
    new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refusing.py").write_text(ROUTER)
    settings = {"DATABASES": {"default": new_database()}, "DATABASE_ROUTERS": ["refusing.Router"]}
    monkeypatch.setenv("REFUSED", "alertthreshold")
    program = PRELUDE + "migrate()\nmade = tables()\nmigrate('zero')\nprint(json.dumps([made, tables()]))"
    assert run_json(tmp_path, settings, program) == [[*TABLES[1:], *OWN], []]


def test_sql__is_shown_once(new_database: NewDatabase, tmp_path: Path) -> None:
    program = PRELUDE + (
        "out = StringIO()\ncall_command('sqlmigrate', 'lifesigns', '0001', stdout=out)\n"
        "print(json.dumps([out.getvalue(), tables()]))"
    )
    shown, made = run(tmp_path, new_database(), program)
    assert made == []
    created = re.findall(r"CREATE TABLE .(\w+)", shown)
    assert sorted(created) == [*TABLES, CREATED]
    assert shown.count("INSERT INTO") == 3


@pytest.mark.django_db
def test_migration__matches_the_models() -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()
