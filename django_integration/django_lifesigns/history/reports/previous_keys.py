"""The keys that the replaced application's JSON report had, for the programs that read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.reports.collect import History
from django_lifesigns.models import ServiceAvailability

SERVICES = 1_000
AVAILABILITY = (
    "service_name",
    "uptime_percentage",
    "total_checks",
    "successful_checks",
    "failed_checks",
    "degraded_checks",
)


def previous_keys(history: History, generated_at: datetime) -> dict[str, Any]:
    """Return the report in those words, to stand beside the new keys."""
    hours = (history.until - history.since).total_seconds() / 3_600
    return {
        "report_period_hours": int(hours) if hours == int(hours) else round(hours, 2),
        "report_generated_at": utc(generated_at).isoformat(),
        "total_checks_run": history.total.results,
        "check_summary": [
            {
                "check_name": name,
                "total": check.results,
                "healthy": check.healthy,
                "degraded": check.degraded,
                "errors": check.error,
                "avg_duration_ms": round(check.duration_ms / check.results, 3) if check.results else None,
            }
            for name, check in history.checks.items()
        ],
        "service_availability": list(ServiceAvailability.objects.values(*AVAILABILITY)[:SERVICES]),
    }
