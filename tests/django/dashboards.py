"""Roll-ups, results and options as the dashboard gets them, for its tests."""

from __future__ import annotations

import random
import time
from typing import Any

from django_lifesigns.dashboard.live import Live
from django_lifesigns.dashboard.reading import History
from django_lifesigns.dashboard.strips import DAYS, first_day
from django_lifesigns.history.rollups.periods import DAY, HOUR

WHEN = "2026-11-29T10:00:00.000000Z"
WELL = ("healthy", "covered")
OFTEN = {"healthy": 0.75, "error": 0.1, "degraded": 0.1, "maintenance": 0.05, "blocked": 0.05}


def result(status: str = "healthy", **more: Any) -> dict[str, Any]:
    found = {"status": status, "message": status, "timestamp": WHEN, "duration_ms": 1.5, "cached": True}
    return {**found, "since": WHEN, **more}


def info(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"critical": True, "timeout": 5.0, "ttl": 30.0, "stale_after": 60.0, "depends_on": []}
    found |= {"failures_before_error": 1, "successes_before_healthy": 1, "runbook": None, "server": None}
    return {**found, "breaker": None, **more}


def live(results: dict[str, Any], infos: dict[str, Any] | None = None, **more: Any) -> Live:
    """What the engine knows, of these results."""
    report: Any = {"checks": results}
    found: dict[str, Any] = {"now": time.time(), "processes": [], "incidents": None, "silenced": {}}
    options: Any = {name: info() for name in results} | (infos or {})
    return Live(report=report, infos=options, **{**found, **more})


NOTHING = History()


def random_days(now: float, name: str, seed: int) -> list[dict[str, Any]]:
    """Return the fields of roll-ups of days, some of which are missing, before and within the 90 days."""
    chance = random.Random(seed)
    rows = []
    for number in range(-5, DAYS):
        if chance.random() < 0.1:
            continue
        figures = {key: chance.uniform(1, 80_000) for key, share in OFTEN.items() if chance.random() < share}
        start = first_day(now) + number * DAY.seconds
        # By up to three hosts.
        covered = min(86_400.0, sum(figures.values()) / chance.uniform(1, 3))
        rows.append(
            {"check_name": name, "period": "day", "start": start, "until": start, "covered": covered, **figures}
        )
    return rows


RUNS = {"healthy_runs": 100, "duration_4": 100}


def seed(names: list[str], now: float | None = None, *, plain: bool = False) -> int:
    """Save roll-ups of 90 days and 24 hours for these checks, and return how many."""
    from django_lifesigns.models import Rollup

    now = time.time() if now is None else now
    rows = []
    for number, name in enumerate(names):
        if plain:
            starts = range(first_day(now), int(now), DAY.seconds)
            days: list[dict[str, Any]] = [
                {"check_name": name, "period": "day", "start": start, "until": start, **dict.fromkeys(WELL, 80_000.0)}
                for start in starts
            ]
        else:
            # Today as its hours below: later in the day the last 24 hours are that row for the most part.
            today = {"start": DAY.start(now), "until": int(now), **dict.fromkeys(WELL, now - DAY.start(now))}
            past = [day for day in random_days(now, name, number) if day["start"] < today["start"]]
            days = [*past, {"check_name": name, "period": "day", **today}]
        # In the last hour of a day the last 24 hours are that day, and minutes.
        rows += [Rollup(**RUNS, **fields) for fields in days]
        hours = range(HOUR.start(now) - 24 * HOUR.seconds, int(now), HOUR.seconds)
        common = {"check_name": name, "period": "hour", **dict.fromkeys(WELL, 3_600.0), **RUNS}
        rows += [Rollup(**common, start=start, until=start) for start in hours]
    Rollup.objects.bulk_create(rows, batch_size=500)
    return len(rows)


def fleet_view() -> Any:
    """What the engine of one of three instances knows of its fleet: one instance is missed, another one fails."""

    def instance(name: str, state: str, *failing: str) -> dict[str, Any]:
        known = {"id": name, "name": name, "zone": "eu-1", "state": state, "version": "1", "settings": "a"}
        times = {"age_seconds": 5.0, "uptime_seconds": 60.0, "interpreter_lag": None}
        return {**known, **times, "processes": 2, "failing": list(failing)}

    failing = [{"instance": "c", "name": "c", "status": "error", "since": "2026-11-29T09:14:05Z"}]
    check = {"scope": "host", "healthy": 2, "total": 3, "fault": "instance", "summary": "", "failing": failing}
    return {
        "visible": True,
        "reason": None,
        "states": {"ready": 3, "not_ready": 0, "draining": 0, "missed": 1},
        "instances": [instance("a", "ready"), instance("b", "missed"), instance("c", "ready", "disk_space")],
        "checks": {"disk_space": check, "memory_usage": {**check, "failing": []}},
        "versions": {"1": 2, "2": 1},
        "settings": {"a": 3},
        "zones": {"eu-1": {"ready": 3, "missed": 1}},
        "leases": [{"check": "openai_api", "instance": "a", "name": "a", "seconds_left": 3.0}],
        "incidents_holder": {"instance": "c", "name": "c", "seconds_left": 9.0},
    }
