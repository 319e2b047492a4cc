"""`global_health_manager`: the checks of the project's engine, registered when it is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

import lifesigns
from django_lifesigns import health_checks
from django_lifesigns.health_checks import global_health_manager, register_all_checks
from django_lifesigns.runtime.engine import get_engine, get_runtime
from django_lifesigns.service import HealthCheckService
from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.projects import run_json

REFUSED = """
import json
from django_lifesigns.health_checks.manager import global_health_manager as manager
names = list(manager.checks)
report = manager.run_all_checks()
checks = report["checks"]
print(json.dumps({
    "names": names, "status": report["status"], "database": checks["database_connectivity"],
    "redis": checks["redis_connectivity"],
}))
"""


pytestmark = pytest.mark.usefixtures("as_at_the_start")


def test_import__registers_the_checks_and_shows_their_results(tmp_path: Path) -> None:
    """A project's own `/health/` runs this manager: it must not be healthy while nothing can be reached."""
    nowhere = {"HOST": "127.0.0.1", "PORT": "1", "NAME": "app", "USER": "app", "PASSWORD": "hunter2"}
    settings = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", **nowhere}},
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
        },
    }
    found = run_json(tmp_path, settings, REFUSED)
    assert found["names"] == list(CATALOGUE)
    assert found["status"] == "unhealthy"
    for name in ("database", "redis"):
        assert found[name]["status"] == "error"
        assert found[name]["details"]["connection_status"] == "failed"
        assert found[name]["details"]["error_type"] == found[name]["error_type"]


@pytest.mark.django_db(transaction=True)
def test_global__all_checks_are_those_of_the_engine(settings: Any) -> None:
    register_all_checks()
    register_all_checks()
    assert list(global_health_manager.checks) == list(CATALOGUE)
    assert {name for name, entry in global_health_manager.checks.items() if entry["critical"]} == {
        name for name, defaults in CATALOGUE.items() if defaults.critical
    }
    report = global_health_manager.run_all_checks()
    assert list(report["checks"]) == list(CATALOGUE)
    # One cache for both.
    assert get_engine().check("default_cache")["cached"] is True
    assert global_health_manager.run_all_checks()["checks"]["default_cache"]["cached"] is True
    # One check that is requested by name runs.
    assert global_health_manager.run_check("default_cache")["cached"] is False


def test_global__own_checks_stand_in_health(settings: Any) -> None:
    settings.LIFESIGNS = {"SHOW_DETAILS": "always", "DISABLED": [*CATALOGUE]}
    get_engine()
    global_health_manager.register_check("billing", lambda: "all billed", critical=False)
    body = Client().get("/health/").json()
    assert body["checks"]["billing"]["message"] == "all billed"
    assert global_health_manager.run_check("billing")["message"] == "all billed"
    global_health_manager.register_check("billing", lambda: False, critical=False)
    assert global_health_manager.run_all_checks()["status"] == "degraded"


def test_global__runs_what_is_registered_with_it(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"memory_usage": {"check": lambda: True, "name": "ram"}}, "DISABLED": ["cpu_load"]}
    global_health_manager.register_check("memory_usage", health_checks.check_memory_usage)
    global_health_manager.register_check("cpu_load", health_checks.check_cpu_load)
    report = global_health_manager.run_all_checks()
    # By its name in /health/, as history and metrics have it.
    assert "ram" in report["checks"]
    assert "cpu_load" not in report["checks"]
    assert global_health_manager.run_check("memory_usage")["status"] == "healthy"
    assert global_health_manager.run_check("cpu_load")["status"] == "skipped"
    assert get_runtime().problems == ()


@pytest.mark.django_db(transaction=True)
def test_check__finds_nothing_wrong() -> None:
    register_all_checks()
    call_command("check")


def test_global__has_the_checks_of_the_settings(settings: Any) -> None:
    own = {"check": lambda: "well", "critical": False}
    settings.LIFESIGNS = {"CHECKS": {"mine": own, "disk_space": {"critical": False}}}
    assert "mine" in global_health_manager.run_all_checks()["checks"]
    assert global_health_manager.checks["mine"]["critical"] is False
    assert global_health_manager.checks["disk_space"]["critical"] is False
    assert global_health_manager.run_check("mine")["message"] == "well"
    del global_health_manager.checks["mine"]
    assert "mine" not in global_health_manager.run_all_checks()["checks"]
    assert get_engine().check("mine")["status"] == "healthy"


def test_global__criticality_of_one_of_the_22(settings: Any) -> None:
    global_health_manager.register_check("memory_usage", health_checks.check_memory_usage, critical=True)
    assert get_runtime().critical >= {"memory_usage"}
    assert global_health_manager.run_check("memory_usage")["details"]["percent_used"] > 0
    lifesigns.Engine().register_declared()  # which has no such check, only its option
    register_all_checks()
    assert "memory_usage" not in get_runtime().critical


def test_global__registering_all_again_takes_replacements_back() -> None:
    global_health_manager.register_check("memory_usage", lambda: "mine")
    assert get_engine().check("memory_usage")["message"] == "mine"
    register_all_checks()
    assert get_engine().check("memory_usage")["message"] != "mine"


def test_global__unknown_status_fails_no_probe(settings: Any) -> None:
    settings.LIFESIGNS = {"SHOW_DETAILS": "always", "DISABLED": [*CATALOGUE]}
    global_health_manager.register_check("mine", lambda: {"status": "warning", "message": "hm"})
    response = Client().get("/health/")
    assert (response.status_code, response.json()["checks"]["mine"]["status"]) == (200, "degraded")


def test_late__declared_after_the_first_request_is_registered(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.LIFESIGNS = {"SHOW_DETAILS": "always", "DISABLED": [*CATALOGUE], "CHECKS": {"early": lambda: "early"}}
    assert list(Client().get("/health/").json()["checks"]) == ["early"]
    engine = get_engine()
    caplog.set_level("INFO", "django_lifesigns")
    lifesigns.check("late", critical=False)(lambda: "late")
    checks = Client().get("/health/").json()["checks"]
    assert checks["late"]["message"] == "late"
    # The engine is the same, and what it knew stays known.
    assert get_engine() is engine
    assert checks["early"]["cached"] is True
    assert "declared after the first request: late" in caplog.text


def test_late__wrong_one_is_an_error(settings: Any) -> None:
    settings.LIFESIGNS = {"DISABLED": [*CATALOGUE], "CHECKS": {"early": lambda: True}}
    get_engine().run()
    lifesigns.check("late", depends_on=["nothing"])(lambda: True)
    assert get_engine().check("late")["status"] == "error"


@pytest.mark.django_db(transaction=True)
def test_service__is_on_this_manager(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = HealthCheckService()
    assert service.manager is global_health_manager
    critical = service.run_critical_checks_only()
    assert critical["checks"].keys() <= service.manager.checks.keys()
    assert "memory_usage" not in critical["checks"]
    report = {"status": "healthy", "checks": {"mine": {"status": "healthy", "message": "OK", "duration_ms": 10.0}}}
    monkeypatch.setattr(service.manager, "run_all_checks", lambda parallel: report)
    assert service.run_all_checks() is report
