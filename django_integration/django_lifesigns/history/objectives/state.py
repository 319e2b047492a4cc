"""What is known of the objectives, read from the roll-ups."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from django.db.models import Q
from django.utils.timezone import get_default_timezone

from django_lifesigns.history.objectives.budget import WINDOWS, Budget, Spent
from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.rollups.figures import STATUSES
from django_lifesigns.history.rollups.periods import DAY
from django_lifesigns.history.rollups.reading import hours, sums, tiles
from lifesigns.results import BudgetAlarm, Objective

FIELDS = (*STATUSES, "error_stretches", "unhealthy_stretches")


@dataclass(frozen=True, slots=True)
class ObjectiveState:
    """The objective of one check: its budget, and on which days that was lost, in the project's zone."""

    check: str
    budget: Budget
    lost_on: Mapping[date, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: shares of 1, seconds, windows by name."""
        from django_lifesigns.history.objectives.sentence import sentence

        budget, target = self.budget, self.budget.target
        return {
            "check": self.check,
            "target": target.target,
            "days": target.days,
            "degraded_is_bad": target.degraded_is_bad,
            "availability": _rounded(budget.availability),
            "known_ratio": _rounded(budget.period.coverage),
            "bad_seconds": _rounded(budget.period.bad_seconds, 3),
            "budget_seconds": _rounded(budget.seconds, 3),
            "budget_remaining": _rounded(budget.remaining),
            "burn_rates": {window: _rounded(budget.burn(window)) for window in WINDOWS},
            "firing": [pair.name for pair in budget.firing],
            "severity": severity(budget),
            "exhausted_in_seconds": _rounded(budget.exhausted_in, 0),
            "lost_on": [{"date": day.isoformat(), "seconds": round(bad, 3)} for day, bad in self.lost_on.items()],
            "sentence": sentence(self),
        }


def severity(budget: Budget) -> str | None:
    """Return ``page``, ``ticket``, or None if nothing fires."""
    found = [pair.severity for pair in budget.firing]
    return "page" if "page" in found else found[0] if found else None


def read_states(targets: Mapping[str, Target], now: float | None = None) -> list[ObjectiveState]:
    """Return the state of each objective, those with the least budget left first: two queries.

    A check that may be skipped has none before anything was known of it.
    """
    if not targets:
        return []
    now = time.time() if now is None else now
    lengths = {**WINDOWS, **{target.window: target.seconds for target in targets.values()}}
    windows = {name: tiles(now - seconds, now, now) for name, seconds in lengths.items()}
    found = sums(windows, FIELDS, targets.keys())
    lost = _bad_by_day(targets, now)
    states = []
    for check, target in targets.items():
        spent = {name: _spent(target, lengths[name], figures) for name, figures in found.get(check, {}).items()}
        period = spent.get(target.window, Spent(target.seconds, 0, 0))
        if target.may_be_skipped and not period.known:
            continue
        used = {name: spent.get(name, Spent(seconds, 0, 0)) for name, seconds in WINDOWS.items()}
        # In the mean over the sources, as all that is said of the period.
        share = period.bad_seconds / period.bad if period.bad else 0.0
        lost_on = {day: bad * share for day, bad in lost.get(check, {}).items()}
        states.append(ObjectiveState(check, Budget(target, period, used), lost_on))
    return sorted(states, key=lambda state: (-state.budget.spent_share, state.check))


def _spent(target: Target, length: float, figures: Mapping[str, float]) -> Spent:
    bad, good, stretches = figures["error"], figures["healthy"], figures["error_stretches"]
    if target.degraded_is_bad:
        bad, stretches = bad + figures["degraded"], figures["unhealthy_stretches"]
    else:
        good += figures["degraded"]
    return Spent(length, good, bad, stretches)


def _bad_by_day(targets: Mapping[str, Target], now: float) -> dict[str, dict[date, float]]:
    """Return by check the bad seconds of each day of the project's zone, of UTC where there are no hours any more."""
    since = now - max(target.seconds for target in targets.values())
    is_bad = Q(error__gt=0)
    if any(target.degraded_is_bad for target in targets.values()):
        is_bad |= Q(degraded__gt=0)
    zone = get_default_timezone()
    lost: dict[str, dict[date, float]] = defaultdict(dict)
    for check, start, length, degraded, error in hours(since, now, is_bad, ("degraded", "error"), targets.keys()):
        target = targets[check]
        bad = error + (degraded if target.degraded_is_bad else 0.0)
        if bad and start + length > now - target.seconds:
            day = datetime.fromtimestamp(start, timezone.utc if length == DAY.seconds else zone).date()
            lost[check][day] = lost[check].get(day, 0.0) + bad
    return lost


def for_engine(states: list[ObjectiveState]) -> dict[str, Objective]:
    """Return what `Engine.set_objectives` takes."""
    return {
        state.check: {
            "ratio": state.budget.target.ratio,
            "budget_remaining": state.budget.remaining,
            "burn_rates": {window: rate for window in WINDOWS if (rate := state.budget.burn(window)) is not None},
            "alarm": _alarm(state),
        }
        for state in states
    }


def _alarm(state: ObjectiveState) -> BudgetAlarm | None:
    """Return why somebody has to know of it now, if a pair fires."""
    from django_lifesigns.history.objectives.sentence import sentence

    if not state.budget.firing:
        return None
    return {"severity": "critical" if severity(state.budget) == "page" else "warning", "message": sentence(state)}


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)
