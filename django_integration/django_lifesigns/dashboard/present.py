"""What the templates show beside the data: links, words for numbers and times, the strips, what the user may do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.dashboard.shapes import (
    CheckData,
    CheckEntry,
    DashboardData,
    DurationsEntry,
    IncidentEntry,
    OutageEntry,
)
from django_lifesigns.dashboard.svg import day_title, strip_svg
from django_lifesigns.history.objectives.sentence import duration
from django_lifesigns.http.words import milliseconds, moment_of, word

TITLES = {
    "error": lazy("Failing"),
    "degraded": lazy("Degraded"),
    "unknown": lazy("Not known"),
    "healthy": lazy("Healthy"),
    "skipped": lazy("Skipped"),
}
WINDOWS = {"24h": lazy("24 hours"), "7d": lazy("7 days"), "30d": lazy("30 days")}
# Of so many bad checks the list itself has buttons; the others have them on their pages.
MOST_WITH_ACTIONS = 50
NONE = "\N{EN DASH}"


def dashboard_context(data: DashboardData, home: str) -> dict[str, Any]:
    """Return what the template of the whole needs; `home` is the URL of the dashboard."""
    now = datetime.fromisoformat(data["at"].replace("Z", "+00:00"))
    rows = {check["name"]: _row(check, home, now) for check in data["checks"]}
    for row in rows.values():
        row["blocks"] = [rows[name] for name in row["check"]["blocks"]]
    # What is blocked is folded under its root cause.
    shown = [row for row in rows.values() if row["check"]["blocked_by"] not in rows]
    bad = [row for row in shown if row["check"]["status"] in ("error", "degraded")]
    for row in bad[:MOST_WITH_ACTIONS]:
        row["has_actions"] = True
    incidents = data["incidents"]
    sections = [
        {"status": status, "title": title, "rows": own, "count": data["summary"][status]}  # type: ignore[literal-required]
        for status, title in TITLES.items()
        if (own := [row for row in shown if row["check"]["status"] == status])
    ]
    return {
        "data": data,
        "word": word(data["status"]),
        "home": home,
        "at": moment_of(data["at"], now),
        "sections": sections,
        "open_incidents": [_incident(each, home, now) for each in incidents or () if each["resolved_at"] is None],
        "recent_incidents": [_incident(each, home, now) for each in incidents or () if each["resolved_at"] is not None],
        "workers": [{**worker, "lag": milliseconds(1_000 * worker["lag_seconds"])} for worker in data["workers"]],
    }


def check_context(data: CheckData, home: str) -> dict[str, Any]:
    """Return what the template of one check needs."""
    check, now = data["check"], datetime.fromisoformat(data["at"].replace("Z", "+00:00"))
    strip = check["strip"]
    return {
        "data": data,
        "home": home,
        "at": moment_of(data["at"], now),
        "row": {**_row(check, home, now), "has_actions": True},
        "blocks": [{"name": name, "url": f"{home}{name}/"} for name in check["blocks"]],
        "parents": [{"name": name, "url": f"{home}{name}/"} for name in check["depends_on"]],
        "days": [day_title(day) for day in reversed(strip["days"])] if strip else [],
        "durations": [_durations(each) for each in data["durations"]],
        "outages": [_outage(each, now) for each in data["outages"]],
        "incidents": [{**_incident(each, home, now), "timeline": each["timeline"]} for each in data["incidents"] or ()],
        "configuration": list(_pairs(data["configuration"])),
    }


def percent(ratio: float | None) -> str:
    """Return a share as a percentage, never rounded up: what was not whole is not shown as if it were."""
    if ratio is None:
        return NONE
    return f"{math.floor(ratio * 100_000 + 1e-6) / 1000:.3f}".rstrip("0").rstrip(".") + "%"


def _row(check: CheckEntry, home: str, now: datetime) -> dict[str, Any]:
    strip, available, runbook = check["strip"], check["availability"], check["runbook"]
    is_url = runbook is not None and runbook.startswith(("http://", "https://"))
    wait = check["retry_after_seconds"]
    return {
        "check": check,
        "word": word(check["status"]),
        "url": f"{home}{check['name']}/",
        "since": moment_of(check["since"], now),
        "at": moment_of(check["timestamp"], now),
        "duration": milliseconds(check["duration_ms"]),
        "last_error_at": moment_of(check["last_error"]["timestamp"], now) if check["last_error"] else None,
        "silenced_until": moment_of(check["silenced_until"], now),
        "strip": strip_svg(strip) if strip else "",
        "available": percent(available["ratio"]) if available else "",
        "known": percent(available["known_ratio"]) if available else "",
        "left": percent(check["objective"]["budget_remaining"]) if check["objective"] else "",
        "retry_after": "" if wait is None else duration(wait),
        "runbook_url": runbook if is_url else "",
        "runbook_text": "" if is_url else runbook or "",
    }


def _incident(incident: IncidentEntry, home: str, now: datetime) -> dict[str, Any]:
    return {
        "incident": incident,
        "url": f"{home}{incident['check']}/",
        "since": moment_of(incident["since"], now),
        "lasts": duration(incident["duration_seconds"]),
        "blocked": ", ".join(incident["blocked"]),
    }


def _durations(entry: DurationsEntry) -> dict[str, Any]:
    values = (entry["median_ms"], entry["p95_ms"], entry["p99_ms"])
    return {
        "window": WINDOWS[entry["window"]],
        "runs": entry["runs"],
        "values": [milliseconds(each) for each in values],
    }


def _outage(entry: OutageEntry, now: datetime) -> dict[str, Any]:
    return {
        "outage": entry,
        "word": word(entry["status"]),
        "since": moment_of(entry["since"], now),
        "until": moment_of(entry["until"], now),
        "lasts": duration(entry["duration_seconds"]),
    }


def _pairs(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Return the configuration as names and texts; what is not set is left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            if value:
                yield f"{prefix}{name}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{prefix}{name}", f"{value:g}" if isinstance(value, float) else str(value)
