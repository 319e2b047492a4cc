"""The history in each kind of database, as a project keeps it, reads it and removes it, with and without `USE_TZ`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from tests.django.conftest import NewDatabase
from tests.django.projects import run, run_json
from tests.django.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

PROGRAM = """
import csv, json
from datetime import timedelta
from io import StringIO
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_lifesigns.history import recent as history
from django_lifesigns.history.write_behind import Recorder
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from django_lifesigns.service import HealthCheckService
from tests.django.recording import report

def command(name, *arguments):
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()

call_command("migrate", verbosity=0)
sweeps = Recorder()
queries = []
for number in range(4):
    sweeps.add(report(0, number), log=True, availability=True)
    with CaptureQueriesContext(connection) as captured:
        sweeps._write()
    queries.append(len(captured))
old = HealthCheckLog.objects.filter(message="0 0")
old.update(checked_at=F("checked_at") - timedelta(days=40))
service = HealthCheckService()
formats = {form: command("generate_health_report", "--format", form) for form in ("text", "html", "markdown", "csv")}
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("someone"))
pages = ["healthchecklog", "healthchecklog/?q=good", "serviceavailability", "alertthreshold"]
pages.append(f"healthchecklog/{HealthCheckLog.objects.latest('pk').pk}/change")
print(json.dumps({
    "queries": queries,
    "services": service.get_service_health_summary()["services"],
    "logs": service.get_recent_check_logs("bad", limit=1),
    "hours": history.hours()["bad"],
    "availability": history.availability()["bad"],
    "report": json.loads(command("generate_health_report", "--format", "json")),
    "formats": [form for form, text in formats.items() if "good" in text and "bad" in text],
    "pages": [client.get(f"/admin/lifesigns/{page}", follow=True).status_code for page in pages],
    "pruned": command("health_prune").split()[0],
    "left": HealthCheckLog.objects.count(),
}))
"""


@pytest.mark.parametrize("zone", ["UTC", None], ids=["with USE_TZ", "without USE_TZ"])
def test_history__in_each_database(new_database: NewDatabase, tmp_path: Path, zone: str | None) -> None:
    settings: dict[str, Any] = {
        "DATABASES": {"default": new_database()},
        "INSTALLED_APPS": INSTALLED_APPS,
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": TEMPLATES,
        "ROOT_URLCONF": "tests.django.urls",
        "STATIC_URL": "static/",
        "USE_TZ": zone is not None,
        # Half past the hour elsewhere: a time in the wrong zone cannot look like a right one.
        "TIME_ZONE": zone or "Asia/Kolkata",
    }
    found = run_json(tmp_path, settings, PROGRAM)
    assert max(found["queries"]) <= 4
    assert [service["name"] for service in found["services"]] == ["good", "bad"]
    assert [service["uptime_percentage"] for service in found["services"]] == [100.0, 50.0]
    times = [found["logs"][0]["checked_at"], found["availability"]["last_check_at"], found["report"]["until"]]
    times += [found["services"][0]["last_check_at"], found["report"]["checks"][0]["last_error_at"]]
    assert [time for time in times if abs(age(time)) > timedelta(minutes=2)] == []
    assert timedelta(0) <= age(found["hours"][-1]["hour"]) < timedelta(hours=1, minutes=2)
    assert [sum(hour[key] for hour in found["hours"]) for key in ("total", "healthy", "error")] == [3, 1, 2]
    assert [(check["check"], check["results"]) for check in found["report"]["checks"]] == [("bad", 3), ("good", 3)]
    assert found["report"]["checks"][0]["median_ms"] == pytest.approx(1.0, rel=0.03)
    assert found["formats"] == ["text", "html", "markdown", "csv"]
    assert found["pages"] == [200] * 5
    assert (found["pruned"], found["left"]) == ("2", 6)


def age(time: str) -> timedelta:
    at = datetime.fromisoformat(time.replace("Z", "+00:00"))
    assert at.utcoffset() == timedelta(0)
    return datetime.now(timezone.utc) - at


def test_makemigrations__has_nothing_to_do(new_database: NewDatabase, tmp_path: Path) -> None:
    settings = {"DATABASES": {"default": new_database()}}
    done = run(tmp_path, settings, "-W", "ignore", "-m", "django", "makemigrations", "--check", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n"), done.stderr


TENANTS = """
import json
from django.core.management import call_command
from django.db import connection
from django_lifesigns.history import recorder
from django_lifesigns.runtime.engine import get_engine

call_command("migrate", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute("CREATE SCHEMA acme")
connection.set_schema("acme")
call_command("migrate", verbosity=0)
# As in a request of a tenant.
engine = get_engine()
report = engine.run(["default_cache", "database_connectivity", "task_queue"])
written = recorder.record(report, engine, wait=20)
counts = {}
with connection.cursor() as cursor:
    for schema in ("public", "acme"):
        cursor.execute("SELECT to_regclass(%s)", [f"{schema}.core_health_check_log"])
        if cursor.fetchone()[0] is None:
            continue
        cursor.execute(f"SELECT count(*) FROM {schema}.core_health_check_log")
        counts[schema] = cursor.fetchone()[0]
print(json.dumps({
    "written": written, "counts": counts,
    "statuses": {name: result["status"] for name, result in report["checks"].items()},
}))
"""
STAND_INS = Path(__file__).parent / "shapes/stand_ins"


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_of_tenants_too", [False, True])
def test_history_of_tenants_is_in_the_shared_schema(
    new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_of_tenants_too: bool
) -> None:
    """Written on the engine's threads, whose connections know no tenant."""
    monkeypatch.setenv("PYTHONPATH", str(STAND_INS))
    shared = ["django_tenants", "django.contrib.contenttypes", "django.contrib.auth", "django_lifesigns"]
    tenants = ["django.contrib.contenttypes", "django.contrib.sessions"]
    if is_of_tenants_too:
        tenants.append("django_lifesigns")
    settings = {
        "DATABASES": {"default": {**new_database(), "ENGINE": "django_tenants.postgresql_backend"}},
        "DATABASE_ROUTERS": ["django_tenants.routers.TenantSyncRouter"],
        "SHARED_APPS": shared,
        "TENANT_APPS": tenants,
        "INSTALLED_APPS": list(dict.fromkeys([*shared, *tenants])),
        "PG_EXTRA_SEARCH_PATHS": ["public"],
    }
    done = run_json(tmp_path, settings, TENANTS)
    # Sessions are in the schemas of the tenants: that they are not in the shared one is no fault.
    assert set(done["statuses"].values()) <= {"healthy", "skipped"}, done
    assert done["written"] is True
    # A tenant sees the tables of the shared schema, and gets none of its own.
    assert done["counts"] == {"public": 2}


@pytest.mark.parametrize(
    ("shared", "tenants", "is_warned"),
    [
        (["django_lifesigns"], [], False),
        (["django_lifesigns"], ["django_lifesigns"], False),
        ([], ["django_lifesigns"], True),
        ([], ["django_lifesigns.apps.LifesignsConfig"], True),
        (["django_lifesigns.apps.LifesignsConfig"], ["django_lifesigns"], False),
        ([], [], False),
        (None, None, False),
    ],
)
def test_app_of_tenants_only_is_a_warning(settings: Any, shared: Any, tenants: Any, is_warned: bool) -> None:
    settings.SHARED_APPS, settings.TENANT_APPS = shared, tenants
    assert ([message.id for message in run_checks() if message.id == "lifesigns.W014"] != []) is is_warned
