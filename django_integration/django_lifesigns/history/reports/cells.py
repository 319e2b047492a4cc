"""The figures of a report as cells of a table and as values for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.objectives.sentence import duration
from django_lifesigns.history.reports.in_time import Report
from django_lifesigns.history.reports.incidents import Incident
from lifesigns.plain import line

COLUMNS = (
    lazy("check"),
    lazy("available %"),
    lazy("known %"),
    lazy("objective %"),
    lazy("budget left %"),
    lazy("results"),
    lazy("degraded"),
    lazy("errors"),
    lazy("median ms"),
    lazy("p95 ms"),
    lazy("max ms"),
    lazy("last error"),
)
NUMBERS = range(1, len(COLUMNS) - 1)
# Of `figures`, in order.
FIGURES = (
    "check",
    "results",
    "healthy",
    "degraded",
    "errors",
    "uptime_percentage",
    "availability_percentage",
    "known_percentage",
    "bad_seconds",
    "maintenance_seconds",
    "blocked_seconds",
    "objective_percentage",
    "budget_remaining_percentage",
    "median_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "last_error_at",
)
INCIDENT_COLUMNS = (lazy("since"), lazy("until"), lazy("duration"), lazy("check"), lazy("status"), lazy("cause"))


def columns() -> list[str]:
    """Return the header of `rows`."""
    return [str(column) for column in COLUMNS]


def incident_columns() -> list[str]:
    """Return the header of `incident_rows`."""
    return [str(column) for column in INCIDENT_COLUMNS]


def rows(report: Report) -> list[list[str]]:
    """Return a row for each check: empty cells where nothing is known."""
    shown = (
        "availability_percentage",
        "known_percentage",
        "objective_percentage",
        "budget_remaining_percentage",
        "results",
        "degraded",
        "errors",
        "median_ms",
        "p95_ms",
        "max_ms",
    )
    found = []
    for name, check in report.checks.items():
        values = figures(name, report)
        last = moment(check.last_error_at) if check.last_error_at else ""
        found.append([name, *("" if values[key] is None else f"{values[key]}" for key in shown), last])
    return found


def figures(name: str, report: Report) -> dict[str, Any]:
    """Return the figures of a check, None where nothing is known."""
    check, time, objective = report.checks[name], report.times.get(name), report.objectives.get(name)
    durations = report.durations(name)
    budget = objective.budget if objective else None
    values = (
        name,
        check.results,
        check.healthy,
        check.degraded,
        check.error,
        round(check.uptime, 2) if check.results else None,
        _percent(time.availability if time else None, 3),
        _percent(time.coverage if time else None),
        *(round(time.mean(field), 3) if time else None for field in ("error", "maintenance", "blocked")),
        budget.target.target if budget else None,
        _percent(budget.remaining if budget else None),
        *(_rounded(durations.percentile(percent)) for percent in (50, 95, 99)),
        round(durations.longest, 2),
        utc(check.last_error_at).isoformat() if check.last_error_at else None,
    )
    return dict(zip(FIGURES, values, strict=True))


def incident_rows(report: Report) -> list[list[str]]:
    """Return a row for each incident, latest first."""
    return [
        [
            moment(incident.since),
            moment(incident.until) if incident.until else _("lasts"),
            duration(incident.duration(utc(report.history.until)).total_seconds()),
            incident.check,
            incident.status,
            cause(incident),
        ]
        for incident in report.incidents
    ]


def cause(incident: Incident) -> str:
    """Return what an incident is about, in one line: the message of its result, and what it blocked."""
    text = line(incident.cause)
    if not incident.blocked:
        return text
    return _("%(cause)s (blocks %(checks)s)") % {"cause": text, "checks": ", ".join(incident.blocked)}


def title(report: Report) -> str:
    """Return what happened in one line: no mean over checks that have nothing to do with each other."""
    history = report.history
    values = {"since": moment(history.since), "until": moment(history.until), "count": len(report.incidents)}
    if not report.checks:
        return _("Health from %(since)s to %(until)s: no results") % values
    if not report.incidents:
        return _("Health from %(since)s to %(until)s: no incidents") % values
    longest = max(report.incidents, key=lambda incident: incident.duration(utc(history.until)))
    values["check"] = longest.check
    values["longest"] = duration(longest.duration(utc(history.until)).total_seconds())
    text = ngettext(
        "Health from %(since)s to %(until)s: %(count)d incident, %(longest)s of %(check)s",
        "Health from %(since)s to %(until)s: %(count)d incidents, the longest %(longest)s of %(check)s",
        len(report.incidents),
    )
    return text % values


def moment(at: datetime) -> str:
    """Return a time as people read it, in UTC."""
    return f"{utc(at):%Y-%m-%d %H:%M:%S} UTC"


def _percent(share: float | None, digits: int = 1) -> float | None:
    return None if share is None else round(100 * share, digits)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
