"""What is known of the objectives, read from the roll-ups."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django_lifesigns.history.objectives.budget import PACE, WINDOWS, Budget, Pair, Spent
from django_lifesigns.history.objectives.lost import bad_by_day, bad_since
from django_lifesigns.history.objectives.sentence import Phrases, sentence
from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.rollups.figures import COVERED, SECONDS, sources
from django_lifesigns.history.rollups.reading import segments, sums
from lifesigns.results import BudgetAlarm, Objective

STRETCHES = ("error_stretches", "unhealthy_stretches")
# All that a budget and its sentence need, beside its period.
BUDGET_WINDOWS = {PACE: WINDOWS[PACE]}


@dataclass(frozen=True, slots=True)
class ObjectiveState:
    """The objective of one check: its budget, and on which days that was lost, in the project's zone."""

    check: str
    budget: Budget
    lost_on: Mapping[date, float]

    def as_dict(self, phrases: Phrases | None = None) -> dict[str, Any]:
        """Return it for JSON: shares of 1, seconds, windows by name."""
        firing = self.budget.firing
        return {
            **self.budget_as_dict(phrases),
            "lost_on": [{"date": day.isoformat(), "seconds": round(bad, 3)} for day, bad in self.lost_on.items()],
            "burn_rates": {window: _rounded(self.budget.burn(window)) for window in WINDOWS},
            "firing": [pair.name for pair in firing],
            "severity": severity(firing),
        }

    def budget_as_dict(self, phrases: Phrases | None = None) -> dict[str, Any]:
        """Return what `as_dict` has of the budget, for which `BUDGET_WINDOWS` are enough."""
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
            "exhausted_in_seconds": _rounded(budget.exhausted_in, 0),
            "sentence": sentence(self, phrases),
        }


def severity(firing: Iterable[Pair]) -> str | None:
    """Return ``page``, ``ticket``, or None if nothing fires."""
    found = [pair.severity for pair in firing]
    return "page" if "page" in found else found[0] if found else None


def read_states(
    targets: Mapping[str, Target], now: float | None = None, used: Mapping[str, int] = WINDOWS
) -> list[ObjectiveState]:
    """Return the state of each objective, those with the least budget left first: two queries.

    A check that may be skipped has none before anything was known of it.

    Args:
        targets: by check.
        now: in seconds since 1970.
        used: the windows that are read beside the periods, by name in seconds: fewer of them, as `BUDGET_WINDOWS`, take
            a fraction of the time, and there is no telling then which pairs fire.
    """
    if not targets:
        return []
    now = time.time() if now is None else now
    lengths = {**used, **{target.window: target.seconds for target in targets.values()}}
    windows = {name: segments(now - seconds, now, now) for name, seconds in lengths.items()}
    fields = (*SECONDS, COVERED, *(STRETCHES if used is WINDOWS else ()))
    lost = bad_by_day(targets, now)
    # Where nothing was bad there is no pace, and most of what would be read is for that: the minutes of an hour.
    some = {} if used is WINDOWS else {PACE: bad_since(now - WINDOWS[PACE], lost)}
    found = sums(windows, fields, targets.keys(), some)
    states = []
    for check, target in targets.items():
        spent = {name: _spent(target, lengths[name], figures) for name, figures in found.get(check, {}).items()}
        period = spent.get(target.window, Spent(target.seconds, 0, 0))
        if target.may_be_skipped and not period.known:
            continue
        of_windows = {name: spent.get(name, Spent(seconds, 0, 0)) for name, seconds in used.items()}
        # In the mean over the sources, as all that is said of the period.
        share = period.bad_seconds / period.bad if period.bad else 0.0
        lost_on = {day: bad * share for day, bad in lost.get(check, {}).items()}
        states.append(ObjectiveState(check, Budget(target, period, of_windows), lost_on))
    return sorted(states, key=lambda state: (-state.budget.spent_share, state.check))


def _spent(target: Target, length: float, figures: Mapping[str, float]) -> Spent:
    bad, good, stretches = figures["error"], figures["healthy"], figures.get("error_stretches", 0.0)
    if target.degraded_is_bad:
        bad, stretches = bad + figures["degraded"], figures.get("unhealthy_stretches", 0.0)
    else:
        good += figures["degraded"]
    return Spent(length, good, bad, stretches, sources(figures, length))


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
    urgency = severity(state.budget.firing)
    if urgency is None:
        return None
    return {"severity": "critical" if urgency == "page" else "warning", "message": sentence(state)}


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)
