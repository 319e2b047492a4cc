"""The documented first step for projects that have `apps.core.health_checks`, with the migration that it shows."""

from __future__ import annotations

import importlib
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.django.conftest import NewDatabase
from tests.django.projects import ROOT, run, run_json

PAGE = ROOT / "docs/migrating/apps-core.md"
FIELDS = {
    "HealthCheckLog": """
    check_name = models.CharField(max_length=100, db_index=True)
    status = models.CharField(max_length=20, db_index=True)
    message = models.TextField()
    details = models.JSONField(default=dict)
    duration_ms = models.FloatField()
    checked_at = models.DateTimeField(auto_now_add=True, db_index=True)
    correlation_id = models.UUIDField(null=True)
    class Meta:
        db_table = "core_health_check_log"
        indexes = [models.Index(fields=["check_name", "-checked_at"], name="core_health_check_n_idx")]
""",
    "ServiceAvailability": """
    service_name = models.CharField(max_length=100, unique=True)
    total_checks = models.IntegerField(default=0)
    successful_checks = models.IntegerField(default=0)
    failed_checks = models.IntegerField(default=0)
    degraded_checks = models.IntegerField(default=0)
    last_check_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    uptime_percentage = models.FloatField(default=100.0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    class Meta:
        db_table = "core_service_availability"
""",
    "AlertThreshold": """
    metric_type = models.CharField(max_length=50)
    alert_level = models.CharField(max_length=20)
    threshold_value = models.FloatField()
    enabled = models.BooleanField(default=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    class Meta:
        db_table = "core_alert_threshold"
        unique_together = [("metric_type", "alert_level")]
""",
}
BEFORE = """
import json
from django.core.management import call_command
call_command("makemigrations", "core", name="the_last_one", verbosity=0)
call_command("migrate", verbosity=0)
from core.models import *
HealthCheckLog.objects.create(check_name="disk_space", status="healthy", message="fine", duration_ms=1)
ServiceAvailability.objects.create(service_name="disk_space", total_checks=4, successful_checks=3)
AlertThreshold.objects.create(metric_type="disk_usage", alert_level="warning", threshold_value=70)
print(json.dumps("made"))
"""
AFTER = """
import json
from django.core.checks import run_checks
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability
ServiceAvailability.objects.get().record_check("healthy")
HealthCheckLog.log_check("disk_space", {"status": "error", "message": "full"})
print(json.dumps({
    "problems": [message.id for message in run_checks()],
    "rows": list(HealthCheckLog.objects.order_by("pk").values_list("message", flat=True)),
    "total": ServiceAvailability.objects.get().total_checks,
    "warning": AlertThreshold.get_threshold("disk_usage"),
}))
"""


def documented_migration() -> str:
    """Return the migration that the documentation shows."""
    shown = re.search(r"```python\n(?: +from .*\n\s*)?( +class Migration.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown
    migration = textwrap.dedent(shown[1]).replace("0042_", "0001_")
    return f"from django.db import migrations\n{migration}"


def test_coming_from__keeps_tables_and_rows(new_database: NewDatabase, tmp_path: Path) -> None:
    app = tmp_path / "core"
    (app / "migrations").mkdir(parents=True)
    for file in (app / "__init__.py", app / "migrations/__init__.py"):
        file.write_text("")
    models = "".join(f"class {name}(models.Model):{fields}" for name, fields in FIELDS.items())
    (app / "models.py").write_text(f"from django.db import models\n{models}")
    contrib = ["django.contrib.contenttypes", "django.contrib.auth"]
    settings: dict[str, Any] = {
        "DATABASES": {"default": new_database()},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [*contrib, "core"],
        "ROOT_URLCONF": "core",
        "MIDDLEWARE": [],
    }
    assert run_json(tmp_path, settings, BEFORE) == "made"
    settings["INSTALLED_APPS"] = [*contrib, "core", "django_lifesigns"]
    settings["ROOT_URLCONF"] = "demo.urls"
    clash = run(tmp_path, settings, "-m", "django", "check")
    assert "models.E028" in clash.stderr

    (app / "models.py").write_text("")
    (app / "migrations/0002_forget.py").write_text(documented_migration())
    found = run_json(tmp_path, settings, AFTER)
    assert found == {"problems": [], "rows": ["fine", "full"], "total": 5, "warning": 70.0}


@pytest.mark.parametrize("apps", [["core", "django_lifesigns"], ["django_lifesigns", "core"]])
def test_coming_from__new_database(tmp_path: Path, apps: list[str]) -> None:
    """As tests make one: the old app creates the tables, whatever the order of the apps and of their labels."""
    app = tmp_path / "zzz"
    (app / "migrations").mkdir(parents=True)
    for file in (app / "__init__.py", app / "migrations/__init__.py", app / "models.py"):
        file.write_text("")
    models = "".join(f"class {name}(models.Model):{fields}" for name, fields in FIELDS.items())
    (app / "models.py").write_text(f"from django.db import models\n{models}")
    (app / "urls.py").write_text("urlpatterns = []\n")
    apps = [name.replace("core", "zzz") for name in apps]
    settings: dict[str, Any] = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": ["zzz"],
        "ROOT_URLCONF": "demo.urls",
        "MIDDLEWARE": [],
    }
    arguments = ["makemigrations", "zzz", "-n", "the_last_one"]
    made = run(tmp_path, {**settings, "ROOT_URLCONF": "zzz.urls"}, "-m", "django", *arguments)
    assert made.returncode == 0, made.stderr
    (app / "models.py").write_text("")
    (app / "migrations/0002_forget.py").write_text(documented_migration().replace('"core"', '"zzz"'))
    settings["INSTALLED_APPS"] = ["django.contrib.contenttypes", "django.contrib.auth", *apps]
    program = """
import json
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django_lifesigns.models import HealthCheckLog
HealthCheckLog.log_check("disk_space", {"status": "healthy"})
call_command("migrate", "lifesigns", "zero", verbosity=0)
print(json.dumps(HealthCheckLog.objects.count()))
"""
    # The tables are the old app's: they stay.
    assert run_json(tmp_path, settings, program) == 1


def test_coming_from__old_commands_are_reported(tmp_path: Path) -> None:
    commands = tmp_path / "core/management/commands"
    commands.mkdir(parents=True)
    for folder in (tmp_path / "core", commands.parent, commands):
        (folder / "__init__.py").write_text("")
    old = "from django.core.management.base import BaseCommand as Command"
    (commands / "generate_health_report.py").write_text(old)
    program = """
import json
from django.core.checks import run_checks
print(json.dumps([message.msg for message in run_checks() if message.id == "lifesigns.W023"]))
"""
    before = run_json(tmp_path, {"INSTALLED_APPS": ["core", "django_lifesigns"], "MIDDLEWARE": []}, program)
    assert len(before) == 1
    assert "generate_health_report is that of core" in before[0]
    assert run_json(tmp_path, {"INSTALLED_APPS": ["django_lifesigns", "core"], "MIDDLEWARE": []}, program) == []


def test_coming_from__every_name_of_the_tables_is_there() -> None:
    paths = re.findall(r"`(django_lifesigns\.\w+)`", PAGE.read_text())
    assert len(paths) >= 4
    for path in paths:
        importlib.import_module(path)
