"""What the database has of all checks, or of one, for the dashboard."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString

from django_lifesigns.alerts.rows import known_incident
from django_lifesigns.alerts.tables import Incident
from django_lifesigns.dashboard.action_runs import action_runs
from django_lifesigns.dashboard.strips import Strip, read_strips
from django_lifesigns.dashboard.svg import strip_svg
from django_lifesigns.history.log_every import log_every
from django_lifesigns.history.objectives.current import recent_states, targets
from django_lifesigns.history.objectives.sentence import Phrases
from django_lifesigns.history.objectives.state import ObjectiveState, read_states
from django_lifesigns.history.reports.in_time import TimeFigures
from django_lifesigns.history.reports.incidents import Incident as Outage
from django_lifesigns.history.reports.incidents import incidents as read_outages
from django_lifesigns.history.rollups.figures import DURATIONS
from django_lifesigns.history.rollups.periods import DAY
from django_lifesigns.history.rollups.reading import segments, sums
from django_lifesigns.http.templates import project_language
from django_lifesigns.runtime.engine import Runtime, get_runtime

# Roll-ups are written about once a minute.
STRIPS_SECONDS = 30.0
# So old are those that a page shows at most while newer ones are read for the next, and for so long it does.
OLD_SECONDS = 300.0
LATE_SECONDS = 5.0
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
            strip.drawing = strip_svg(strip, strip.entry["summary"], phrases)
        return strip.drawing


def recent_strips() -> Mapping[str, Strip]:
    """Return the strips of all checks as they were read within the last 30 s."""
    now = time.time()
    at, strips = _kept_strips.get("all", (0.0, {}))
    if not 0 <= now - at < STRIPS_SECONDS:
        _wanted.setdefault("all", now)
        strips = read_strips(now, count=len(get_runtime().engine.names))
        _kept_strips["all"] = (now, strips)
        _wanted.clear()
    return strips


def known_strips() -> Mapping[str, Strip] | None:
    """Return the strips of all checks as they were read within the last 5 minutes of this day, without reading.

    `None` also once newer ones cannot be read for some seconds: then it is to be said why.
    """
    now = time.time()
    at, strips = _kept_strips.get("all", (0.0, {}))
    is_recent = 0 <= now - at < OLD_SECONDS and DAY.start(at) == DAY.start(now)
    return strips if is_recent and now - _wanted.get("all", now) < LATE_SECONDS else None


def read_rest(has_rates: bool) -> History:
    """Read all but the strips of all checks."""
    objectives = _in_words(recent_states(has_rates=has_rates), has_rates)
    return History(incidents=_incidents(get_runtime(), None), objectives=objectives)


def read(check: str | None, has_rates: bool = True) -> History:
    """Read what the database has of all checks, or of one."""
    if check is None:
        return replace(read_rest(has_rates), strips=read_strips(time.time(), count=len(get_runtime().engine.names)))
    runtime, now = get_runtime(), time.time()
    target = targets().get(check)
    states = read_states({check: target}, now) if target else []
    windows = {name: segments(now - length, now, now) for name, length in WINDOWS.items()}
    figures = sums(windows, DURATIONS, [check]).get(check, {})
    return History(
        strips=read_strips(now, check, len(runtime.engine.names)),
        incidents=_incidents(runtime, check),
        objectives=_in_words(states),
        durations={name: TimeFigures(found, WINDOWS[name]) for name, found in figures.items()},
        outages=_outages(runtime, check),
        action_runs=action_runs(runtime.alerts_as, check, OF_CHECK) if runtime.has_actions else (),
    )


def _in_words(states: list[ObjectiveState], has_rates: bool = True) -> dict[str, dict[str, Any]]:
    words: dict[str, dict[str, Any]]
    of, words = _words.get(has_rates, (None, {}))
    if of is not states:
        with project_language():
            phrases = Phrases()
            made = ObjectiveState.as_dict if has_rates else ObjectiveState.budget_as_dict
            words = {state.check: made(state, phrases) for state in states}
        _words[has_rates] = (states, words)
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
    return read_outages(until - RECENT, until, lambda _: hold, {}, check, OF_CHECK)


def forget() -> None:
    """Forget what was read and made last: it may be of other settings."""
    _words.clear()
    _kept_strips.clear()
    _wanted.clear()


# Of the objectives as they were read last: with burn rates, and without.
_words: dict[bool, tuple[list[ObjectiveState], dict[str, dict[str, Any]]]] = {}
# With the time at which they were read.
_kept_strips: dict[str, tuple[float, Mapping[str, Strip]]] = {}
# Since when newer ones are wanted, while there are none.
_wanted: dict[str, float] = {}
