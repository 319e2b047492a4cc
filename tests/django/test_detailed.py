"""`/health/detailed/`: the report and what is known beside it, recorded, for those who may see it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import django
import pytest
from django.db import DatabaseError
from django.test import AsyncClient, Client

import lifesigns
from django_lifesigns.history import recent as history
from django_lifesigns.history import recorder
from django_lifesigns.http.system_info import system_info
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.projects import run_json, stack_settings
from tests.services import Stack

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-for-those-who-know"
KNOWN = {"authorization": f"Bearer {TOKEN}"}
NOW = datetime.now(timezone.utc).replace(minute=30, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def project(settings: Any, as_in_a_server: None) -> Iterator[None]:
    """Few checks, and a recorder and a history of each test's own."""
    kept = ["database_connectivity", "default_cache", "mqtt_broker"]
    settings.LIFESIGNS = {"TOKENS": [TOKEN], "DISABLED": [name for name in CATALOGUE if name not in kept]}
    for forget in (recorder._current.clear, history._reading.cache_clear):
        forget()
    yield
    recorder.flush(10)
    for forget in (recorder._current.clear, history._reading.cache_clear):
        forget()


def detailed(**headers: str) -> Any:
    return Client().get("/health/detailed/", headers={**KNOWN, **headers})


def kept(name: str, at: datetime, status: str = "healthy", duration_ms: float = 1.0) -> HealthCheckLog:
    return HealthCheckLog(check_name=name, checked_at=at, status=status, duration_ms=duration_ms, message="m")


def test_detailed__report_and_more() -> None:
    body = detailed().json()
    assert body["status"] == "healthy"
    assert body["checks"]["default_cache"]["details"]["read_write_test"] == "passed"
    info = body["system_info"]
    assert info["django_version"] == django.get_version()
    assert info["lifesigns_version"] == lifesigns.__version__
    assert info["database_version"].startswith("SQLite 3")
    assert info["environment"] == os.environ["DJANGO_SETTINGS_MODULE"]
    assert {"python_version", "host", "pid"} <= info.keys()
    # Of this very sweep, if it is written already.
    assert body["service_availability"].keys() <= {"database_connectivity", "default_cache"}
    assert body["history"].keys() <= {"database_connectivity", "default_cache"}


def test_detailed__is_recorded_once_and_then_shown() -> None:
    first = detailed().json()
    assert recorder.flush(10)
    history._reading.cache_clear()
    body = detailed().json()
    assert recorder.flush(10)
    # Skipped ones are not kept, and what is cached was kept before.
    assert sorted(HealthCheckLog.objects.values_list("check_name", flat=True)) == [
        "database_connectivity",
        "default_cache",
    ]
    [hour] = body["history"]["default_cache"]
    assert (hour["total"], hour["healthy"], hour["degraded"], hour["error"]) == (1, 1, 0, 0)
    assert hour["median_ms"] == hour["p95_ms"] == first["checks"]["default_cache"]["duration_ms"]
    service = body["service_availability"]["default_cache"]
    assert (service["total_checks"], service["uptime_percentage"]) == (1, 100.0)
    assert service["last_success_at"] == first["checks"]["default_cache"]["timestamp"]
    assert service["last_failure_at"] is None


def test_health__writes_nothing() -> None:
    Client().get("/health/")
    assert recorder.flush(10)
    assert not HealthCheckLog.objects.exists()


def test_everybody__sees_statuses_of_the_detailed_report() -> None:
    response = Client().get("/health/detailed/")
    assert response.status_code == 200
    assert response.json().keys() == Client().get("/health/").json().keys()
    assert recorder.flush(10)
    assert HealthCheckLog.objects.count() == 2


def test_detailed__is_200_whatever_the_report_says(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "CHECKS": {"mine": lambda: False}}
    response = detailed()
    assert (response.status_code, response.json()["status"]) == (200, "unhealthy")


def test_detailed__as_a_page_as_text_and_under_asgi() -> None:
    assert "<h2>System info</h2>" in detailed(accept="text/html").content.decode()
    assert len(detailed(accept="text/plain").content.decode().splitlines()) == 4
    assert "system_info" in asyncio.run(AsyncClient().get("/health/detailed/", headers=KNOWN)).json()


def test_detailed__refresh_is_for_those_who_are_known() -> None:
    assert Client().get("/health/detailed/?refresh=1").status_code == 403
    assert Client().get("/health/detailed/?refresh=1", headers=KNOWN).status_code == 200


@pytest.mark.parametrize("error", [DatabaseError("gone"), "hangs"])
def test_detailed__database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    released = threading.Event()

    def fail() -> None:
        if error == "hangs":
            released.wait(20)
        raise DatabaseError("gone")

    monkeypatch.setattr(history, "hours", fail)
    monkeypatch.setattr(history, "READ_SECONDS", 0.3)
    began = time.monotonic()
    body = detailed().json()
    assert time.monotonic() - began < 10
    released.set()
    assert body["status"] == "healthy"
    assert (body["history"], body["service_availability"]) == (None, None)


def test_history__hours_counts_and_percentiles() -> None:
    old, hour_before = NOW - timedelta(hours=25), NOW - timedelta(hours=1)
    HealthCheckLog.objects.bulk_create(
        [
            *(kept("a", NOW - timedelta(hours=2), duration_ms=float(number)) for number in range(1, 101)),
            *(kept("a", hour_before, status, 7) for status in ("healthy", "degraded", "error", "error")),
            kept("b", hour_before),
            kept("b", old),
        ]
    )
    found = history.hours()
    assert found.keys() == {"a", "b"}
    first, second = found["a"]
    assert first == {
        "hour": (NOW - timedelta(hours=2)).replace(minute=0).isoformat().replace("+00:00", "Z"),
        "total": 100,
        "healthy": 100,
        "degraded": 0,
        "error": 0,
        "median_ms": 50.0,
        "p95_ms": 95.0,
    }
    assert (second["total"], second["healthy"], second["degraded"], second["error"]) == (4, 1, 1, 2)
    assert len(found["b"]) == 1


def test_history__is_bounded(monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    monkeypatch.setattr(history, "ROWS", 3)
    monkeypatch.setattr(history, "SERVICES", 2)
    HealthCheckLog.objects.bulk_create([kept("a", NOW - timedelta(minutes=number)) for number in range(5)])
    ServiceAvailability.objects.bulk_create([ServiceAvailability(service_name=name) for name in "cab"])
    with django_assert_num_queries(3):
        assert sum(hour["total"] for hour in history.hours()["a"]) == 3
        assert list(history.availability()) == ["a", "b"]


def test_system_info__without_a_database(settings: Any) -> None:
    settings.ENVIRONMENT = "production"
    info = system_info({"status": "error", "message": "gone"})
    assert (info["database_version"], info["environment"]) == (None, "production")


POSTGRES = """
import json
from datetime import timedelta
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_lifesigns.history import recent as history
from django_lifesigns.models import HealthCheckLog
call_command("migrate", verbosity=0, fake_initial=True)
at = timezone.now() - timedelta(hours=3)
rows = (HealthCheckLog(check_name=f"check_{n % 22}", checked_at=at + timedelta(seconds=n % 7200), status="healthy",
                       duration_ms=float(n % 100 + 1), message="m") for n in range(22_000))
HealthCheckLog.objects.bulk_create(rows, batch_size=5_000)
with connection.cursor() as cursor:
    cursor.execute("ANALYZE core_health_check_log")
body = Client().get("/health/detailed/", headers={"host": "localhost", "authorization": "Bearer TOKEN"}).json()
print(json.dumps({"info": body["system_info"], "hours": body["history"]["check_7"], "total": sum(
    hour["total"] for hours in body["history"].values() for hour in hours)}))
""".replace("TOKEN", TOKEN)


def test_detailed__on_postgresql(stack: Stack, tmp_path: Path) -> None:
    found = run_json(tmp_path, stack_settings(stack, TOKENS=[TOKEN]), POSTGRES)
    assert found["info"]["database_version"].startswith("PostgreSQL") or found["info"]["database_version"][0].isdigit()
    assert found["total"] >= 22_000
    # The first and the last hour may have a few seconds only.
    hours = [hour for hour in found["hours"] if hour["total"] >= 100]
    assert sum(hour["total"] for hour in hours) >= 800
    assert all(40 <= hour["median_ms"] <= 60 for hour in hours), hours
    assert all(hour["p95_ms"] >= 90 for hour in hours)
