"""The objectives of this project: of the settings and the engine as they are now."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from django_lifesigns.history.objectives.state import BUDGET_WINDOWS, ObjectiveState, for_engine, read_states
from django_lifesigns.history.objectives.targets import Target
from lifesigns import Engine

logger = logging.getLogger("django_lifesigns")

# For so long what this process has worked out last serves pages.
KEPT_SECONDS = 90.0


def set_targets(found: Mapping[str, Target]) -> None:
    """Set the target of each check that has one: the engine of this process was built, or forgotten."""
    _latest["targets"] = dict(found)
    forget()


def forget() -> None:
    """Forget the states, which are of other targets or of another history."""
    for kind in ("states", "budgets"):
        _latest.pop(kind, None)


def targets() -> dict[str, Target]:
    """Return the target of each check that has one; none before the engine of this process is built."""
    found: dict[str, Target] = _latest.get("targets", {})
    return found


def states() -> list[ObjectiveState]:
    """Return the state of each objective: two queries, none without objectives."""
    return read_states(targets())


def as_dicts() -> dict[str, Any]:
    """Return the states for JSON, by check, those with the least budget left first."""
    return {state.check: state.as_dict() for state in states()}


def publish(engine: Engine) -> None:
    """Work out the objectives and hand them to metrics and alerts of all processes that share with this one.

    In a fleet one host does so for all.
    """
    if not targets() or not engine.awaits_objectives():
        return
    try:
        found = states()
    except (Error, ImproperlyConfigured) as error:
        if "failed" not in _latest:
            logger.warning("history: objectives cannot be read (%s)", type(error).__name__)
        _latest["failed"] = True
        return
    _latest.pop("failed", None)
    _latest["states"] = (time.monotonic(), found)
    engine.set_objectives(for_engine(found))


def recent_states(*, has_rates: bool = True) -> list[ObjectiveState]:
    """Return the state of each objective, as this process has worked it out within the last 90 s.

    Else from the database, whose errors it raises; without `has_rates` with `BUDGET_WINDOWS` alone, which is quicker.
    """
    now = time.monotonic()
    for kind in ("states",) if has_rates else ("states", "budgets"):
        at, found = _latest.get(kind, (0.0, []))
        if at and now - at <= KEPT_SECONDS:
            break
    else:
        found = states() if has_rates else read_states(targets(), used=BUDGET_WINDOWS)
        _latest["states" if has_rates else "budgets"] = (time.monotonic(), found)
    recent: list[ObjectiveState] = found
    return recent


_latest: dict[str, Any] = {}
