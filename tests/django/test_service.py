"""`HealthCheckService` on the project's SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from django_lifesigns.history import recorder
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from django_lifesigns.service import HealthCheckService

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def fresh(settings: Any, as_in_a_server: None) -> Iterator[None]:
    settings.LIFESIGNS = {
        "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
        "CHECKS": {"mine": {"check": lambda: False, "critical": False}},
    }
    recorder._current.clear()
    yield
    recorder._current.clear()


@pytest.fixture
def broken_history() -> Iterator[None]:
    tables = ("core_health_check_log", "core_service_availability")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_elsewhere")
    yield
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table}_elsewhere RENAME TO {table}")


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("availability", [True, False])
def test_run_all__keeps_what_is_requested(log: bool, availability: bool) -> None:
    report = HealthCheckService().run_all_checks(log, availability)
    assert report["status"] == "degraded"
    ran = sorted(name for name, result in report["checks"].items() if result["status"] != "skipped")
    assert {"mine", "default_cache", "database_connectivity"} <= set(ran)
    assert sorted(HealthCheckLog.objects.values_list("check_name", flat=True)) == (ran if log else [])
    services = ServiceAvailability.objects.order_by("service_name").values_list("service_name", flat=True)
    assert list(services) == (ran if availability else [])


def test_run_all__keeps_a_result_once() -> None:
    service = HealthCheckService()
    reports = [service.run_all_checks() for _ in range(3)]
    assert reports[1]["checks"]["mine"]["cached"]
    assert HealthCheckLog.objects.filter(check_name="mine").count() == 1
    row = HealthCheckLog.objects.get(check_name="mine")
    assert str(row.correlation_id) == reports[0]["correlation_id"]


def test_run_critical__only_them_and_nothing_kept() -> None:
    report = HealthCheckService().run_critical_checks_only()
    assert "mine" not in report["checks"]
    assert "default_cache" in report["checks"]
    assert report["status"] == "healthy"
    assert not HealthCheckLog.objects.exists()


def test_run_all__without_a_history(broken_history: None) -> None:
    assert HealthCheckService().run_all_checks()["checks"]["mine"]["status"] == "error"


def test_summary__by_falling_uptime_in_one_query(django_assert_num_queries: Any) -> None:
    ServiceAvailability.objects.record([("bad", "error", NOON), ("good", "healthy", NOON), ("bad", "healthy", NOON)])
    with django_assert_num_queries(1):
        summary = HealthCheckService().get_service_health_summary()
    assert summary["total_services"] == 2
    assert summary["services"][0] == {
        "name": "good",
        "uptime_percentage": 100.0,
        "total_checks": 1,
        "successful_checks": 1,
        "degraded_checks": 0,
        "failed_checks": 0,
        "last_check_at": NOON.isoformat(),
        "last_success_at": NOON.isoformat(),
        "last_failure_at": None,
    }
    assert summary["services"][1]["uptime_percentage"] == 50.0
    json.dumps(summary)


def test_logs__newest_first_in_one_query(django_assert_num_queries: Any) -> None:
    for minute, name in enumerate("abab"):
        HealthCheckLog.objects.create(
            check_name=name,
            status="healthy",
            duration_ms=minute,
            checked_at=NOON + timedelta(minutes=minute),
            correlation_id=uuid4(),
        )
    service = HealthCheckService()
    with django_assert_num_queries(1):
        logs = service.get_recent_check_logs()
    assert [log["duration_ms"] for log in logs] == [3, 2, 1, 0]
    assert list(logs[0]) == [
        "check_name", "status", "message", "duration_ms", "checked_at", "details", "correlation_id",
    ]  # fmt: skip
    assert [log["duration_ms"] for log in service.get_recent_check_logs("a")] == [2, 0]
    assert [log["duration_ms"] for log in service.get_recent_check_logs("b", limit=1)] == [3]
    assert service.get_recent_check_logs(limit=0) == service.get_recent_check_logs("nope") == []
    json.dumps(logs)


def test_logs__a_negative_limit() -> None:
    with pytest.raises(ValueError, match="-1"):
        HealthCheckService().get_recent_check_logs(limit=-1)


def test_reading__without_a_history(broken_history: None) -> None:
    service = HealthCheckService()
    assert service.get_recent_check_logs() == []
    summary = service.get_service_health_summary()
    assert summary["error"] == "The history cannot be read"
    assert (summary["total_services"], summary["services"], summary["error_type"]) == (0, [], "OperationalError")
