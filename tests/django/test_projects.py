"""A project that is no usual one: its history in a second database, transactions around requests, users of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.django.projects import run, run_json
from tests.django.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES
from tests.services import Postgres

ROUTER = """
class Router:
    def db_for_read(self, model, **hints):
        return "history" if model._meta.app_label == "lifesigns" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return (db == "history") == (app_label == "lifesigns")
"""
# A user without is_staff, as AbstractBaseUser makes it.
PEOPLE = """
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models

class Person(AbstractBaseUser):
    id = models.BigAutoField(primary_key=True)
    email = models.EmailField(unique=True)
    objects = BaseUserManager()
    USERNAME_FIELD = "email"
"""
PROGRAM = """
import json
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django_lifesigns.history import recorder
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from people.models import Person

def tables():
    return {alias: [name for name in connections[alias].introspection.table_names() if name.startswith("core_")]
            for alias in connections}

call_command("makemigrations", "people", verbosity=0)
for database in connections:
    call_command("migrate", database=database, verbosity=0)
made = tables()
client = Client(headers={"host": "localhost"})
client.force_login(Person.objects.create(email="someone@example.com"))
codes = {path: client.get(path).status_code for path in ("/alive/", "/ready/", "/startup/", "/health/")}
detailed = client.get("/health/detailed/").json()
written = recorder.flush(10)
ServiceAvailability.objects.get_or_create(service_name="mine")[0].record_check("error")
for database in connections:
    call_command("migrate", "lifesigns", "zero", database=database, verbosity=0)
print(json.dumps({
    "problems": [message.id for message in run_checks()],
    "made": made,
    "codes": codes,
    "seen": sorted(detailed),
    "written": written,
    "left": tables(),
}))
"""


TESTS = """
from django.test import TestCase

class ProbeTests(TestCase):
    def test_health(self):
        self.assertEqual(self.client.get("/health/").json()["checks"]["database_connectivity"]["status"], "healthy")
"""


@pytest.mark.services
def test_project__its_own_tests_can_drop_their_database(postgres: Postgres, tmp_path: Path) -> None:
    postgres.sql("ALTER ROLE app CREATEDB")
    (tmp_path / "tests_of_the_project.py").write_text(TESTS)
    database = postgres.database(engine="django.db.backends.postgresql")
    settings = {"DATABASES": {"default": {**database, "TEST": {"NAME": f"test_{uuid4().hex}"}}}}
    done = run(tmp_path, settings, "-W", "ignore", "-m", "django", "test", "tests_of_the_project")
    assert done.returncode == 0, done.stderr
    assert "Destroying test database" in done.stderr


def test_project__two_databases_own_users_another_language(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people/__init__.py").write_text("")
    (tmp_path / "people/models.py").write_text(PEOPLE)
    (tmp_path / "routing.py").write_text(ROUTER)
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "ATOMIC_REQUESTS": True}
    settings: dict[str, Any] = {
        "DATABASES": {name: {**sqlite, "NAME": str(tmp_path / name)} for name in ("default", "history")},
        "DATABASE_ROUTERS": ["routing.Router"],
        "AUTH_USER_MODEL": "people.Person",
        "INSTALLED_APPS": ["people", *(app for app in INSTALLED_APPS if app != "django.contrib.admin")],
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": TEMPLATES,
        "LANGUAGE_CODE": "de",
        "USE_THOUSAND_SEPARATOR": True,
        # Else `check` warns that probes would be refused or redirected.
        "ALLOWED_HOSTS": ["*"],
        "APPEND_SLASH": False,
        "LIFESIGNS": {"NETWORKS": [], "DISABLED": ["disk_space"]},
    }
    found = run_json(tmp_path, settings, PROGRAM)
    tables = ["core_alert_threshold", "core_health_check_log", "core_service_availability"]
    assert found["problems"] == []
    assert {alias: sorted(names) for alias, names in found["made"].items()} == {"default": [], "history": tables}
    assert set(found["codes"].values()) == {200}
    # Somebody without is_staff is not staff.
    assert found["seen"] == [
        "checks",
        "correlation_id",
        "hint",
        "message",
        "status",
        "summary",
        "timestamp",
        "uptime_seconds",
    ]
    assert found["written"] is True
    assert found["left"] == {"default": [], "history": []}
