"""Reads the history that the dashboard shows, on threads of an engine: a database that hangs delays no page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import Error
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString

from django_lifesigns.actions.tables import ActionRun
from django_lifesigns.alerts.rows import known_incident
from django_lifesigns.alerts.tables import Incident
from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.dashboard.action_runs import action_runs
from django_lifesigns.dashboard.strips import Strip, read_strips
from django_lifesigns.dashboard.svg import strip_svg
from django_lifesigns.history import isolated
from django_lifesigns.history.log_every import log_every
from django_lifesigns.history.objectives.current import recent_states, targets
from django_lifesigns.history.objectives.sentence import Phrases
from django_lifesigns.history.objectives.state import ObjectiveState, read_states
from django_lifesigns.history.reports.in_time import TimeFigures
from django_lifesigns.history.reports.incidents import Incident as Outage
from django_lifesigns.history.reports.incidents import incidents as read_outages
from django_lifesigns.history.rollups.figures import DURATIONS
from django_lifesigns.history.rollups.reading import segments, sums
from django_lifesigns.http.templates import project_language
from django_lifesigns.models import HealthCheckLog, Rollup
from django_lifesigns.runtime.engine import Runtime, get_runtime
from django_lifesigns.runtime.lookups import Lookups
from django_lifesigns.runtime.waiting import Wait
from lifesigns import Job, JobError

# How long a reading may take, and how long a page waits for it: a database that is only slow is shown by the next one.
READ_SECONDS = 5.0
WAIT_SECONDS = 1.5
# One reading of all checks serves all pages within this time.
KEPT_SECONDS = 5.0
# Roll-ups are written about once a minute.
STRIPS_SECONDS = 30.0
UNREADABLE = (Error, ImproperlyConfigured, TimeoutError, JobError)
RECENT = timedelta(days=7)
MOST_INCIDENTS = 50
OF_CHECK = 20
# Of durations, by their names.
WINDOWS = {"24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}


@dataclass(frozen=True, slots=True)
class History:
    """What the database has of all checks, or of one, or `error`: why it cannot be read."""

    strips: Mapping[str, Strip] = field(default_factory=dict)
    # As in `/health/detailed/`, with their sentences: made once for all pages, since that takes longest.
    objectives: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    # As the engine has them, the latest first.
    incidents: Sequence[Mapping[str, Any]] = ()
    # Of one check only, by window.
    durations: Mapping[str, TimeFigures] = field(default_factory=dict)
    outages: Sequence[Outage] = ()
    # Of self-healing, as the engine has them, also of other hosts.
    action_runs: Sequence[Mapping[str, Any]] = ()
    error: str | None = None

    def drawing(self, check: str, phrases: Phrases) -> SafeString | str:
        """Return the strip of a check, whose entry has been made, as it is drawn; empty without one."""
        strip = self.strips.get(check)
        if strip is None or strip.entry is None:
            return ""
        if strip.drawing is None:
            strip.drawing = strip_svg(strip.entry, phrases)
        return strip.drawing


async def read_history(wait: Wait, check: str | None = None) -> History:
    """Return what the database has of all checks, or more of one, within `WAIT_SECONDS`."""
    if is_under_test():
        read = partial(_isolated, check)
        return await wait(read, sync_to_async(read))
    try:
        if check is not None:
            return await _of_checks().find(check, wait)
        job = _of_all()
        return await wait(job.run, job.arun, deadline=WAIT_SECONDS)
    except UNREADABLE as error:
        return History(error=type(error).__name__)


def _isolated(check: str | None) -> History:
    """Read in the transaction of the caller's test."""
    found = isolated.read(partial(_read, check), HealthCheckLog, Rollup, Incident, ActionRun)
    return found or History(error=Error.__name__)


@lru_cache(1)
def _of_all() -> Job[History]:
    return Job(returning_connections(partial(_read, None, kept_strips)), timeout=READ_SECONDS, ttl=KEPT_SECONDS)


@lru_cache(1)
def _of_checks() -> Lookups[str, History]:
    return Lookups(_read_if_possible, WAIT_SECONDS)


def _read_if_possible(check: str) -> History:
    try:
        return _read(check)
    except UNREADABLE as error:
        return History(error=type(error).__name__)


def kept_strips(now: float, _check: str | None, count: int) -> dict[str, Strip]:
    """Return the strips of all checks as they were read within the last 30 s."""
    strips: dict[str, Strip]
    at, strips = _kept.get("strips", (0.0, {}))
    if not 0 <= now - at < STRIPS_SECONDS:
        strips = read_strips(now, count=count)
        _kept["strips"] = (now, strips)
    return strips


def _read(check: str | None, strips: Callable[[float, str | None, int], Mapping[str, Strip]] = read_strips) -> History:
    runtime, now = get_runtime(), time.time()
    history = History(strips=strips(now, check, len(runtime.engine.names)), incidents=_incidents(runtime, check))
    if check is None:
        return replace(history, objectives=_in_words(recent_states()))
    target = targets().get(check)
    states = read_states({check: target}, now) if target else []
    windows = {name: segments(now - length, now, now) for name, length in WINDOWS.items()}
    figures = sums(windows, DURATIONS, [check]).get(check, {})
    return replace(
        history,
        objectives=_in_words(states),
        durations={name: TimeFigures(found, WINDOWS[name]) for name, found in figures.items()},
        outages=_outages(runtime, check),
        action_runs=action_runs(runtime.alerts_as, check, OF_CHECK) if runtime.has_actions else (),
    )


def _in_words(states: list[ObjectiveState]) -> dict[str, dict[str, Any]]:
    words: dict[str, dict[str, Any]]
    of, words = _kept.get("words", (None, {}))
    if of is not states:
        with project_language():
            phrases = Phrases()
            words = {state.check: state.as_dict(phrases) for state in states}
        _kept["words"] = (states, words)
    return words


def _incidents(runtime: Runtime, check: str | None) -> list[Mapping[str, Any]]:
    """Return the open ones first, then the latest: one query, none without alerts."""
    if not runtime.conf.alerts:
        return []
    rows: QuerySet[Incident] = Incident.objects.filter(application=runtime.alerts_as)
    if check is None:
        rows = rows.filter(Q(resolved_at=None) | Q(since__gte=timezone.now() - RECENT))
        most = MOST_INCIDENTS
    else:
        rows, most = rows.filter(check_name=check), OF_CHECK
    rows = rows.order_by(F("resolved_at").desc(nulls_first=True), "-since")
    return [known_incident(row) for row in rows[:most]]


def _outages(runtime: Runtime, check: str) -> list[Outage]:
    until = timezone.now()
    hold = timedelta(seconds=runtime.engine.infos()[check]["stale_after"] + log_every())
    return read_outages(until - RECENT, until, lambda _: hold, {}, check)[:OF_CHECK]


# What was read or made last, and is the same for some time.
_kept: dict[str, Any] = {}


def _reset(**_: object) -> None:
    _kept.clear()
    _of_all.cache_clear()
    _of_checks.cache_clear()


setting_changed.connect(_reset)
