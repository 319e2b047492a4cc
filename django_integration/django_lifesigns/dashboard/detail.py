"""One check with all that is known of it, for its page. Pure."""

from __future__ import annotations

from typing import Any

from django_lifesigns.dashboard.assemble import Facts, check_entry, incident_entry, incidents_of, iso
from django_lifesigns.dashboard.live import Live
from django_lifesigns.dashboard.order import in_order
from django_lifesigns.dashboard.reading import History
from django_lifesigns.dashboard.revision import revision
from django_lifesigns.dashboard.self_healing import actions_entry
from django_lifesigns.dashboard.shapes import CheckData, DurationsEntry, IncidentStory, OutageEntry
from django_lifesigns.dashboard.strips import DAYS
from django_lifesigns.history.reports.in_time import TimeFigures
from django_lifesigns.history.reports.incidents import Incident as Outage


def check_data(name: str, live: Live, history: History) -> CheckData:
    """Return one check, which the engine has."""
    blocks = dict(in_order(live.report["checks"], live.infos))[name]
    incidents = None
    if live.incidents is not None:
        own = [incident for incident in incidents_of(live, history) if incident["check"] == name]
        incidents = [_story(incident, live.now) for incident in own]
    actions = None
    if live.actions is not None:
        # Of the same run the store has what is newer.
        actions = actions_entry(live.actions, [*history.action_runs, *live.action_log], name)
    data: CheckData = {
        "at": iso(live.now),
        "revision": "",
        "days": DAYS,
        "history_error": history.error,
        "check": check_entry(name, blocks, Facts(live, history)),
        "durations": [_durations(window, figures) for window, figures in history.durations.items()],
        "outages": [_outage(outage, live.now) for outage in history.outages],
        "incidents": incidents,
        "actions": actions,
        # It has neither targets nor credentials.
        "configuration": dict(live.infos[name]),
    }
    data["revision"] = revision(data)
    return data


def _story(incident: Any, now: float) -> IncidentStory:
    timeline = [
        {"at": iso(entry["at"]), "kind": entry["kind"], "text": entry["text"]} for entry in incident.get("timeline", ())
    ]
    return {**incident_entry(incident, now), "timeline": timeline}  # type: ignore[typeddict-item]  # these keys


def _durations(window: str, figures: TimeFigures) -> DurationsEntry:
    durations = figures.durations
    median, p95, p99 = (_rounded(durations.percentile(percent)) for percent in (50, 95, 99))
    runs = int(sum(figures.figures.values()))
    return {"window": window, "runs": runs, "median_ms": median, "p95_ms": p95, "p99_ms": p99}


def _outage(outage: Outage, now: float) -> OutageEntry:
    since = outage.since.timestamp()
    until = None if outage.until is None else outage.until.timestamp()
    return {
        "status": outage.status,
        "since": iso(since),
        "until": None if until is None else iso(until),
        "duration_seconds": round((now if until is None else until) - since, 1),
        "cause": outage.cause,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
