"""From what is known now and the history to what the dashboard shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import Any

from django_lifesigns.dashboard.live import Live
from django_lifesigns.dashboard.order import STATUSES, in_order, overall, shown_status
from django_lifesigns.dashboard.reading import History
from django_lifesigns.dashboard.revision import in_words, revision
from django_lifesigns.dashboard.self_healing import actions_entry, latest_runs
from django_lifesigns.dashboard.sentences import message_of, strip_sentence
from django_lifesigns.dashboard.shapes import (
    AvailabilityEntry,
    CheckEntry,
    DashboardData,
    IncidentEntry,
    StripDay,
    StripEntry,
    SummaryEntry,
    WorkerEntry,
)
from django_lifesigns.dashboard.strips import DAYS, STATES, Strip, availability, coverage
from django_lifesigns.history.objectives.sentence import Phrases
from lifesigns.results import ProcessInfo

LETTERS = {letter: name for name, letter in STATES.items()}
# Seconds that a program may wait for the interpreter without anybody noticing.
NOTICED_LAG = 1.0


def dashboard_data(live: Live, history: History, *, has_days: bool = True) -> DashboardData:
    """Return the whole; without `has_days` what is said of strips in words may be all that there is of them."""
    results = live.report["checks"]
    facts = Facts(live, history, has_days)
    checks = [check_entry(name, blocks, facts) for name, blocks in in_order(results, live.infos)]
    status, incidents = overall(results, live.infos), incidents_of(live, history)
    data: DashboardData = {
        "status": status,
        "message": message_of(status, len(checks)),
        "at": iso(live.now),
        "revision": "",
        "days": DAYS,
        "summary": _summary(checks),
        "history_error": history.error,
        "checks": checks,
        "incidents": None if live.incidents is None else [incident_entry(each, live.now) for each in incidents],
        "actions": None if live.actions is None else actions_entry(live.actions, live.action_log),
        "workers": [_worker(process) for process in live.processes],
    }
    data["revision"] = revision({**data, "checks": [in_words(check) for check in checks]})
    return data


class Facts:
    """What checks are shown from."""

    def __init__(self, live: Live, history: History, has_days: bool = True) -> None:
        self.live = live
        self.history = history
        self.has_days = has_days
        self.phrases = Phrases()
        self.runs = latest_runs(live.action_log)


def check_entry(name: str, blocks: Sequence[str], facts: Facts) -> CheckEntry:
    """Return one check, which blocks these others."""
    live, history = facts.live, facts.history
    result, info, strip = live.report["checks"][name], live.infos[name], history.strips.get(name)
    breaker = info["breaker"]
    is_run = not result.get("pending") and "blocked_by" not in result
    return {
        "name": name,
        "status": shown_status(result),  # type: ignore[typeddict-item]  # one of these words
        "critical": info["critical"],
        "message": result["message"],
        "since": result.get("since"),
        "timestamp": result["timestamp"] if is_run else None,
        "duration_ms": result["duration_ms"] if is_run else None,
        "error_type": result.get("error_type"),
        "raw_status": result.get("raw_status"),
        "depends_on": info["depends_on"],
        "blocked_by": result.get("blocked_by"),
        "blocks": list(blocks),
        "circuit": None if breaker is None else {"state": breaker["state"], "mode": breaker["mode"]},
        "retry_after_seconds": result.get("retry_after_seconds"),
        "last_error": dict(result["last_error"]) if "last_error" in result else None,
        "runbook": info["runbook"],
        "silenced_until": iso(live.silenced[name]) if name in live.silenced else None,
        "strip": _strip(strip, facts),
        "availability": _availability(strip, live.now),
        "objective": history.objectives.get(name),
        "last_action": facts.runs.get(name),
    }


def incidents_of(live: Live, history: History) -> list[Mapping[str, Any]]:
    """Return the incidents of the store and the tables as the engine has them, open ones first, then the latest."""
    found: dict[str, Mapping[str, Any]] = {incident["id"]: incident for incident in history.incidents}
    # Those of the store are newer than what the tables have of them.
    found |= {incident["id"]: incident for incident in live.incidents or ()}

    def place(incident: Mapping[str, Any]) -> tuple[bool, float]:
        return incident["resolved_at"] is not None, -(incident["resolved_at"] or incident["since"])

    return sorted(found.values(), key=place)


def iso(at: float) -> str:
    """Return seconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _summary(checks: Iterable[CheckEntry]) -> SummaryEntry:
    counts = dict.fromkeys(STATUSES, 0)
    for check in checks:
        counts[check["status"]] += 1
    return {"total": sum(counts.values()), **counts}  # type: ignore[typeddict-item]  # these are the statuses


def _strip(strip: Strip | None, facts: Facts) -> StripEntry | None:
    if strip is None:
        return None
    if strip.entry is None:
        strip.entry = {
            "first_day": strip.dates[0],
            "states": strip.states,
            "summary": strip_sentence(strip, facts.phrases),
        }
    if facts.has_days and "days" not in strip.entry:
        strip.entry["days"] = [_day(strip, number) for number in sorted({*chain(*strip.seconds.values())})]
    return strip.entry


def _day(strip: Strip, number: int) -> StripDay:
    day = {state: round(days[number], 1) for state, days in strip.seconds.items() if number in days}
    return {
        "date": strip.dates[number],
        "state": LETTERS.get(strip.states[number], "unknown"),
        "error_seconds": day.get("error", 0.0),
        "degraded_seconds": day.get("degraded", 0.0),
        "maintenance_seconds": day.get("maintenance", 0.0),
        "blocked_seconds": day.get("blocked", 0.0),
    }


def _availability(strip: Strip | None, now: float) -> AvailabilityEntry | None:
    if strip is None:
        return None
    ratio = availability(strip)
    bad = sum(strip.seconds.get("error", {}).values())
    return {
        "ratio": None if ratio is None else round(ratio, 6),
        "known_ratio": round(coverage(strip, now), 4),
        "bad_seconds": round(bad, 1),
    }


def incident_entry(incident: Mapping[str, Any], now: float) -> IncidentEntry:
    """Return one incident, as the engine has it, as it is shown."""
    since, resolved = incident["since"], incident["resolved_at"]
    return {
        "id": incident["id"],
        "check": incident["check"],
        "state": incident["state"],
        "severity": incident["severity"],
        "since": iso(since),
        "resolved_at": None if resolved is None else iso(resolved),
        "duration_seconds": round((now if resolved is None else resolved) - since, 1),
        "message": incident["message"],
        "blocked": list(incident.get("blocked", ())),
        "acknowledged_by": incident.get("acknowledged_by"),
        "is_flapping": bool(incident.get("flapping")),
    }


def _worker(process: ProcessInfo) -> WorkerEntry:
    lag = max(process["interpreter_lag"], process["event_loop_lag"] or 0.0)
    return {
        "pid": process["pid"],
        "lag_seconds": round(lag, 3),
        "is_late": lag >= NOTICED_LAG,
        "is_ready": process["ready"],
        "is_draining": process["draining"],
        "served": process["served"],
    }
