"""What is known without the database: results, circuits, workers; the store's incidents, silences and actions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from django_lifesigns.runtime.engine import Runtime
from lifesigns import Engine
from lifesigns.results import CheckInfo, ProcessInfo, Report


@dataclass(frozen=True, slots=True)
class Live:
    """What the engine knows now; times in seconds since 1970."""

    now: float
    report: Report
    infos: Mapping[str, CheckInfo]
    processes: Sequence[ProcessInfo]
    # None without alerts.
    incidents: Sequence[Mapping[str, Any]] | None
    # Until when each check is silenced.
    silenced: Mapping[str, float]
    # As the engine has them, None without any; and what they did, oldest first.
    actions: Mapping[str, Any] | None = None
    action_log: Sequence[Mapping[str, Any]] = ()


def read_live(runtime: Runtime) -> Live:
    """Return what is known. Runs nothing; may wait for the store, for a second at most."""
    engine, now = runtime.engine, time.time()
    incidents: Sequence[Mapping[str, Any]] | None = [] if runtime.conf.alerts else None
    silenced: Mapping[str, float] = {}
    if runtime.has_alerts:
        with suppress(TimeoutError):  # another process holds the store
            incidents = engine.incidents()
            silenced = _silenced(engine, now)
    live = Live(now, engine.known(), engine.infos(), engine.processes(), incidents, silenced)
    if runtime.has_actions:
        with suppress(TimeoutError):
            return replace(live, actions=engine.actions(), action_log=engine.action_log())
    return live


def _silenced(engine: Engine, now: float) -> dict[str, float]:
    """Return until when each check is silenced, by silences of all severities."""
    found: dict[str, float] = {}
    for silence in engine.silences():
        matchers = silence["matchers"]
        if not silence["start"] <= now < silence["end"] or matchers["severity"]:
            continue
        groups = [engine.names_of(group) for group in matchers["group"] if group in engine.groups]
        names = set().union(*groups) if matchers["group"] else engine.names
        for name in names:
            if not matchers["check"] or any(fnmatchcase(name, pattern) for pattern in matchers["check"]):
                found[name] = max(found.get(name, 0.0), silence["end"])
    return found
