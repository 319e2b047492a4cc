"""The models' own methods, on the project's SQLite."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.utils.connection import ConnectionDoesNotExist

from django_lifesigns.history.availability import _changes
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability
from django_lifesigns.runtime.saved_thresholds import validated

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def test_log_check__a_row() -> None:
    result = {"status": "error", "message": "full", "details": {"free": 0}, "duration_ms": 1.5}
    HealthCheckLog.log_check("disk_space", {**result, "timestamp": "2026-01-01T12:00:00.000000Z"})
    row = HealthCheckLog.objects.get()
    assert (row.check_name, row.status, row.message, row.details) == ("disk_space", "error", "full", {"free": 0})
    assert (row.duration_ms, row.checked_at, row.correlation_id) == (1.5, NOON, None)


def test_log_check__without_a_timestamp() -> None:
    row = HealthCheckLog.log_check("x", {"status": "healthy"})
    assert abs(datetime.now(timezone.utc) - row.checked_at) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("statuses", "counts", "uptime"),
    [
        (["healthy"], (1, 1, 0, 0), 100.0),
        (["healthy", "degraded", "error", "error"], (4, 1, 1, 2), 25.0),
        (["skipped"], (0, 0, 0, 0), 100.0),
        (["healthy", "warning"], (2, 1, 0, 0), 50.0),
    ],
)
def test_record_check__counts(statuses: list[str], counts: tuple[int, ...], uptime: float) -> None:
    service = ServiceAvailability(service_name="x")
    for status in statuses:
        service.record_check(status)
    if statuses == ["skipped"]:
        assert service.pk is not None
    row = ServiceAvailability.objects.get(service_name="x")
    found = (row.total_checks, row.successful_checks, row.degraded_checks, row.failed_checks)
    assert (found, row.uptime_percentage) == (counts, uptime)
    assert service.total_checks == row.total_checks


def test_record_check__when() -> None:
    service = ServiceAvailability.objects.create(service_name="x")
    service.record_check("degraded")
    assert service.last_check_at is not None
    assert (service.last_success_at, service.last_failure_at) == (None, None)
    service.record_check("error")
    assert service.last_failure_at == service.last_check_at
    service.record_check("healthy")
    assert service.last_failure_at is not None
    assert service.last_success_at == service.last_check_at > service.last_failure_at


def test_record_check__a_stale_instance_overwrites_nothing() -> None:
    ServiceAvailability.objects.create(service_name="x")
    one, other = ServiceAvailability.objects.get(), ServiceAvailability.objects.get()
    one.record_check("healthy")
    other.record_check("error")
    assert (other.total_checks, other.uptime_percentage) == (2, 50.0)


def test_record_check__unsaved_instance_of_a_known_name() -> None:
    ServiceAvailability.objects.create(service_name="x").record_check("healthy")
    service = ServiceAvailability(service_name="x")
    service.record_check("error")
    assert (service.total_checks, service.failed_checks, service.uptime_percentage) == (2, 1, 50.0)
    assert service == ServiceAvailability.objects.get()
    service.save()
    assert ServiceAvailability.objects.get().total_checks == 2


def test_record_check__unsaved_instance_keeps_its_counts() -> None:
    service = ServiceAvailability(service_name="x", total_checks=3, successful_checks=3)
    service.record_check("error")
    assert (service.pk, service.total_checks, service.uptime_percentage) == (
        ServiceAvailability.objects.get().pk,
        4,
        75,
    )


def test_record_check__row_that_was_deleted() -> None:
    service = ServiceAvailability.objects.create(service_name="x")
    ServiceAvailability.objects.all().delete()
    service.record_check("healthy")
    assert service.pk == ServiceAvailability.objects.get().pk


class Elsewhere:
    """Sends the availability where nothing is."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model is ServiceAvailability else None


def test_record_check__obeys_the_router_of_its_model(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Elsewhere()]
    with pytest.raises(ConnectionDoesNotExist):
        ServiceAvailability(service_name="x").record_check("healthy")
    assert HealthCheckLog.log_check(check_name="x", result={"status": "healthy"}).pk


def test_record__many_at_once_in_one_query(django_assert_num_queries: Any) -> None:
    results = [("b", "healthy", NOON), ("a", "error", NOON), ("b", "error", NOON - timedelta(hours=1))]
    for _ in range(2):
        with django_assert_num_queries(1):
            ServiceAvailability.objects.record(results)
    a, b = ServiceAvailability.objects.order_by("service_name")
    assert (a.total_checks, a.failed_checks, a.last_success_at, a.uptime_percentage) == (2, 2, None, 0.0)
    assert (b.total_checks, b.successful_checks, b.failed_checks, b.uptime_percentage) == (4, 2, 2, 50.0)
    assert (b.last_check_at, b.last_success_at, b.last_failure_at) == (NOON, NOON, NOON - timedelta(hours=1))


def test_record__late_results_do_not_turn_the_clock_back() -> None:
    for at in (NOON, NOON - timedelta(hours=1)):
        ServiceAvailability.objects.record([("x", "healthy", at)])
    row = ServiceAvailability.objects.get()
    assert (row.total_checks, row.last_check_at, row.last_success_at) == (2, NOON, NOON)


def test_record__the_share_comes_before_what_it_is_made_of() -> None:
    """MySQL would count with the sums that are changed already."""
    assert next(iter(_changes(str, str))) == "uptime_percentage"


def test_record__nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        ServiceAvailability.objects.record([("x", "skipped", NOON)])


@pytest.mark.parametrize("metric", AlertThreshold.DEFAULTS)
@pytest.mark.parametrize("level", ["warning", "critical"])
def test_threshold__default_saved_disabled_deleted(metric: str, level: str) -> None:
    default = AlertThreshold.DEFAULTS[metric][level]
    assert AlertThreshold.get_threshold(metric, level) == default
    row = AlertThreshold.objects.create(metric_type=metric, alert_level=level, threshold_value=0)
    assert AlertThreshold.get_threshold(metric, level) == 0
    AlertThreshold.objects.update(enabled=False)
    assert AlertThreshold.get_threshold(metric, level) == default
    row.delete()
    assert AlertThreshold.get_threshold(metric, level) == default


def test_threshold__unknown_metric_of_an_adopted_table() -> None:
    assert AlertThreshold.get_threshold("latency") == AlertThreshold.get_threshold("disk_usage", "fatal") == 100.0
    row = AlertThreshold.objects.create(metric_type="latency", alert_level="warning", threshold_value=7)
    assert (AlertThreshold.get_threshold("latency"), row.default, str(row)) == (7.0, 100.0, "latency warning: 7")


@pytest.mark.parametrize(
    ("metric", "level", "value", "valid"),
    [
        ("disk_usage", "warning", 70, True),
        ("disk_usage", "warning", 90, False),
        ("disk_usage", "warning", 95, False),
        ("disk_usage", "critical", 95, True),
        ("disk_usage", "critical", 80, False),
        ("disk_usage", "critical", 101, False),
        ("disk_usage", "warning", -1, False),
        ("cpu_load", "critical", 16, True),
        ("cpu_load", "warning", float("nan"), False),
        ("cpu_load", "critical", float("inf"), False),
        ("response_time", "critical", 60_000, True),
        ("nonsense", "warning", 1, False),
        ("disk_usage", "nonsense", 1, False),
    ],
)
def test_threshold__validation(metric: str, level: str, value: float, valid: bool) -> None:
    row = AlertThreshold(metric_type=metric, alert_level=level, threshold_value=value)
    if valid:
        row.full_clean()
    else:
        with pytest.raises(ValidationError):
            row.full_clean()


@pytest.mark.parametrize(
    ("metric", "value", "wanted"),
    [
        ("disk_usage", 101, "Enter a number from 0 to 100."),
        ("queue_depth", float("inf"), "Enter a number from 0."),
        ("response_time", 0, "Enter a number of milliseconds above 0 and below 86,400,000, a day."),
    ],
)
def test_threshold_that_no_table_may_have_is_refused_by_the_same_rule(metric: str, value: float, wanted: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AlertThreshold(metric_type=metric, alert_level="critical", threshold_value=value).full_clean()
    assert caught.value.message_dict == {"threshold_value": [wanted]}
    [wrong] = validated([(metric, "critical", value)])[1]
    assert wrong.endswith(f"it is not {wanted.removeprefix('Enter ').removesuffix('.')}")


def test_threshold__validation_against_what_is_saved() -> None:
    AlertThreshold.objects.create(metric_type="disk_usage", alert_level="critical", threshold_value=98)
    row = AlertThreshold(metric_type="disk_usage", alert_level="warning", threshold_value=95)
    row.full_clean()
    row.save()
    critical = AlertThreshold.objects.get(alert_level="critical")
    critical.enabled = False  # 90 would hold, below the warning
    with pytest.raises(ValidationError, match="warning threshold, 95"):
        critical.full_clean()


def test_log_check__details_that_are_no_plain_json() -> None:
    details = {"at": datetime(2026, 1, 2, tzinfo=timezone.utc), "share": Decimal("1.5"), "id": UUID(int=7)}
    row = HealthCheckLog.log_check("disk_space", {"status": "error", "message": "full", "details": details})
    row.refresh_from_db()
    assert row.details == {"at": "2026-01-02T00:00:00Z", "share": "1.5", "id": str(UUID(int=7))}
