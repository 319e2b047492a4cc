"""`/startup/`: both conditions, once and for all."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def startup() -> Any:
    return Client().get("/startup/")


def test_startup__started(settings: Any) -> None:
    settings.LIFESIGNS = {}
    response = startup()
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "started")
    assert body["checks"]["migrations_applied"]["status"] == "healthy"
    assert body["checks"]["default_cache"]["status"] == "healthy"
    assert "cpu_load" not in body["checks"]


def test_startup__unapplied_migration(settings: Any) -> None:
    settings.LIFESIGNS = {"SHOW_DETAILS": "always"}
    [row] = MigrationRecorder.Migration.objects.filter(app="sessions")
    row.delete()
    try:
        response = startup()
        assert (response.status_code, response.json()["status"]) == (503, "starting")
        details = response.json()["checks"]["migrations_applied"]["details"]
        assert details == {"unapplied": {"default": ["sessions.0001_initial"]}}
    finally:
        row.save(force_insert=True)
    wait_until(lambda: startup().status_code == 200, 60, "still starting after the migration was applied")


def test_startup__stays_started(settings: Any) -> None:
    answers = [True]
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": lambda: answers[-1], "ttl": 0.01}}}
    assert startup().status_code == 200
    answers.append(False)
    wait_until(lambda: Client().get("/ready/").status_code == 503)
    assert startup().status_code == 200


def test_startup__critical_check_has_not_passed_yet(settings: Any) -> None:
    answers = [False]
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": lambda: answers[-1], "ttl": 0.01}}}
    response = startup()
    assert response.status_code == 503
    assert response.json()["checks"]["mine"]["status"] == "error"
    answers.append(True)
    wait_until(lambda: startup().status_code == 200)


@pytest.mark.parametrize("path", ["/startup/", "/ready/"])
def test_budget__a_check_that_hangs(settings: Any, path: str) -> None:
    released = threading.Event()
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": lambda: released.wait(20) and None, "timeout": 30}}}
    began = time.monotonic()
    response = Client().get(path)
    took = time.monotonic() - began
    assert response.status_code == 503
    checks = response.json().get("checks") or response.json()["details"]
    assert checks["mine"]["pending"] is True
    assert took < 10
    released.set()
    # The run went on; its result serves the next request.
    wait_until(lambda: Client().get(path).status_code == 200)


def test_budget__configured(settings: Any) -> None:
    released = threading.Event()
    mine = {"check": lambda: released.wait(20) and None, "timeout": 30}
    settings.LIFESIGNS = {"READY_BUDGET": 1.5, "CHECKS": {"mine": mine}}
    began = time.monotonic()
    assert Client().get("/ready/").status_code == 503
    assert 1.2 < time.monotonic() - began < 15  # 0.8 by default
    released.set()
