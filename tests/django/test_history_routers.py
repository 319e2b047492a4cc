"""Logs and counts in two databases: each is queried through its own model, and one that refuses doubles nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.django.projects import run_json

ROUTER = """
class Router:
    def db_for_read(self, model, **hints):
        return "counts" if model.__name__ == "ServiceAvailability" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return True
"""
PROGRAM = """
import json
from django.core.management import call_command
from django.db import connections
from django_lifesigns.history import recent, recorder
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from tests.django.recording import report

def kept():
    models = (HealthCheckLog, ServiceAvailability)
    return {alias: [model.objects.using(alias).count() for model in models] for alias in ("default", "counts")}

def rename(old, new):
    with connections["counts"].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

for database in connections:
    call_command("migrate", "lifesigns", database=database, verbosity=0)
rename("core_service_availability", "elsewhere")
refused = recorder.record(report(0, 1), wait=10)
with_logs_alone = HealthCheckLog.objects.count()
rename("elsewhere", "core_service_availability")
written = recorder.flush(10)
print(json.dumps({
    "refused": refused,
    "with_logs_alone": with_logs_alone,
    "written": written,
    "kept": kept(),
    "read": sorted(recent.read()[0]),
}))
"""


def test_recorder_two_databases_each_row_once(tmp_path: Path) -> None:
    (tmp_path / "routing.py").write_text(ROUTER)
    sqlite = {"ENGINE": "django.db.backends.sqlite3"}
    settings: dict[str, Any] = {
        "DATABASES": {name: {**sqlite, "NAME": str(tmp_path / name)} for name in ("default", "counts")},
        "DATABASE_ROUTERS": ["routing.Router"],
    }
    assert run_json(tmp_path, settings, PROGRAM) == {
        "refused": False,
        "with_logs_alone": 2,
        "written": True,
        "kept": {"default": [2, 0], "counts": [0, 2]},
        "read": ["bad", "good"],
    }
