"""What the templates show beside the data: links, words for numbers and times, the strips, what the user may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.dashboard.rows import Drawing, PageContext, Row
from django_lifesigns.dashboard.self_healing_words import run_in_words, self_healing
from django_lifesigns.dashboard.sentences import OF_DAY, day_title
from django_lifesigns.dashboard.shapes import (
    CheckData,
    DashboardData,
    DurationsEntry,
    IncidentEntry,
    OutageEntry,
    StripDay,
)
from django_lifesigns.http.words import milliseconds, word

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


def dashboard_context(data: DashboardData, home: str, drawing: Drawing) -> dict[str, Any]:
    """Return what the template of the whole needs; `home` is the URL of the dashboard."""
    page = PageContext(home, _time(data["at"]), drawing)
    rows = {check["name"]: Row(check, page) for check in data["checks"]}
    for row in rows.values():
        if row.check["blocks"]:
            row["blocks"] = [rows[name] for name in row.check["blocks"]]
        if (run := row.check["last_action"]) is not None:
            row["last_action"] = run_in_words(run, page)
    # What is blocked is folded under its root cause.
    shown = [row for row in rows.values() if row.check["blocked_by"] not in rows]
    bad = [row for row in shown if row.check["status"] in ("error", "degraded")]
    for row in bad[:MOST_WITH_ACTIONS]:
        row["has_actions"] = True
    incidents = data["incidents"]
    sections = [
        {"status": status, "title": title, "rows": own, "count": data["summary"][status]}  # type: ignore[literal-required]
        for status, title in TITLES.items()
        if (own := [row for row in shown if row.check["status"] == status])
    ]
    return {
        "data": data,
        "word": word(data["status"]),
        "home": home,
        "at": page.moment(data["at"]),
        "sections": sections,
        "open_incidents": [_incident(each, page) for each in incidents or () if each["resolved_at"] is None],
        "recent_incidents": [_incident(each, page) for each in incidents or () if each["resolved_at"] is not None],
        "self_healing": None if data["actions"] is None else self_healing(data["actions"], page),
        "workers": [{**worker, "lag": milliseconds(1_000 * worker["lag_seconds"])} for worker in data["workers"]],
    }


def check_context(data: CheckData, home: str, drawing: Drawing) -> dict[str, Any]:
    """Return what the template of one check needs."""
    check, page = data["check"], PageContext(home, _time(data["at"]), drawing)
    strip, row = check["strip"], Row(check, page)
    row["has_actions"] = True
    return {
        "data": data,
        "home": home,
        "at": page.moment(data["at"]),
        "row": row,
        "blocks": [{"name": name, "url": f"{home}{name}/"} for name in check["blocks"]],
        "parents": [{"name": name, "url": f"{home}{name}/"} for name in check["depends_on"]],
        "days": [_day(day, page) for day in reversed(strip["days"])] if strip else [],
        "durations": [_durations(each) for each in data["durations"]],
        "outages": [_outage(each, page) for each in data["outages"]],
        "incidents": [{**_incident(each, page), "timeline": each["timeline"]} for each in data["incidents"] or ()],
        "self_healing": _self_healing(data, page),
        "configuration": list(_pairs(data["configuration"])),
    }


def _self_healing(data: CheckData, page: PageContext) -> dict[str, Any] | None:
    """Return what is shown of it on the page of a check: nothing where no action is meant for it, nor ever was."""
    found = data["actions"]
    return self_healing(found, page) if found and (found["actions"] or found["runs"]) else None


def _day(day: StripDay, page: PageContext) -> str:
    _ = page.phrases
    seconds = [(_(text), day[f"{state}_seconds"]) for state, text in OF_DAY.items()]  # type: ignore[literal-required]
    return day_title(day["date"], [(text, each) for text, each in seconds if each > 0], _)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _incident(incident: IncidentEntry, page: PageContext) -> dict[str, Any]:
    return {
        "incident": incident,
        "url": f"{page.home}{incident['check']}/",
        "since": page.moment(incident["since"]),
        "lasts": page.phrases.duration(incident["duration_seconds"]),
        "blocked": ", ".join(incident["blocked"]),
    }


def _durations(entry: DurationsEntry) -> dict[str, Any]:
    values = (entry["median_ms"], entry["p95_ms"], entry["p99_ms"])
    return {
        "window": WINDOWS[entry["window"]],
        "runs": entry["runs"],
        "values": [milliseconds(each) for each in values],
    }


def _outage(entry: OutageEntry, page: PageContext) -> dict[str, Any]:
    return {
        "outage": entry,
        "word": word(entry["status"]),
        "since": page.moment(entry["since"]),
        "until": page.moment(entry["until"]),
        "lasts": page.phrases.duration(entry["duration_seconds"]),
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
