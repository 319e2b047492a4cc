"""`HealthCheckService`: runs checks, keeps their results, and reads what was kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import Error

from django_lifesigns.checks.timezones import utc
from django_lifesigns.health_checks.manager import global_health_manager
from django_lifesigns.history import recorder
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from django_lifesigns.runtime.engine import on_request

logger = logging.getLogger("django_lifesigns")

# For the thresholds to be read, and for the results to be written: a database that hangs delays no caller longer.
PATIENCE_SECONDS = 1.0
MOST_ROWS = 10_000

SERVICE_FIELDS = (
    "service_name",
    "uptime_percentage",
    "total_checks",
    "successful_checks",
    "degraded_checks",
    "failed_checks",
    "last_check_at",
    "last_success_at",
    "last_failure_at",
)
LOG_FIELDS = ("check_name", "status", "message", "duration_ms", "checked_at", "details", "correlation_id")


class HealthCheckService:
    """Any thread may use it, and any number of instances. `manager` is `global_health_manager`."""

    def __init__(self) -> None:
        self.manager = global_health_manager

    def run_all_checks(self, log_results: bool = True, update_availability: bool = True) -> dict[str, Any]:
        """Return the report on all checks, and record what is new; history that cannot be written does no harm."""
        engine = on_request(PATIENCE_SECONDS).engine
        report = self.manager.run_all_checks(parallel=True)
        if log_results or update_availability:
            recorder.record(report, engine, log=log_results, availability=update_availability, wait=PATIENCE_SECONDS)
        return report

    def run_critical_checks_only(self) -> dict[str, Any]:
        """Return the report on the critical checks; nothing is recorded."""
        on_request(PATIENCE_SECONDS)
        return self.manager.run_critical_checks()

    def get_service_health_summary(self) -> dict[str, Any]:
        """Return `total_services`, and `services` by falling uptime; without the database `error` and `error_type`."""
        try:
            rows = _rows(ServiceAvailability.objects.values(*SERVICE_FIELDS)[:MOST_ROWS])
        except Error as error:
            name = _unreadable(error)
            return {"total_services": 0, "services": [], "error": "The history cannot be read", "error_type": name}
        services = [{"name": row.pop("service_name"), **row} for row in rows]
        return {"total_services": len(services), "services": services}

    def get_recent_check_logs(self, check_name: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The latest results, of one check or of all, newest first, at most 10,000; none without the database."""
        if limit < 0:
            raise ValueError(f"limit must be a number from 0, not {limit}")
        logs = HealthCheckLog.objects.order_by("-checked_at")
        if check_name:
            logs = logs.filter(check_name=check_name)
        try:
            return _rows(logs.values(*LOG_FIELDS)[: min(limit, MOST_ROWS)])
        except Error as error:
            _unreadable(error)
            return []


def _rows(rows: Any) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """As JSON shows it."""
    if isinstance(value, datetime):
        return utc(value).isoformat()
    return value if value is None or isinstance(value, (str, int, float, dict, Sequence)) else str(value)


def _unreadable(error: Error) -> str:
    logger.error("history: cannot be read (%s)", type(error).__name__)
    return type(error).__name__
