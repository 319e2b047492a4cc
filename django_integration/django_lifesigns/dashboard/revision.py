"""Tells whether the dashboard shows something else than it did: beside times and durations, or at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from operator import itemgetter
from typing import Any

from django_lifesigns.dashboard.shapes import CheckEntry
from django_lifesigns.history.json_text import to_json

# Which change as time passes, and with each run of a check that finds the same.
PASSING = frozenset(["at", "retry_after_seconds", "duration_seconds", "lag_seconds"])
VOLATILE = PASSING | {"timestamp", "duration_ms"}
# Of a check, where sentences stand for what is longer.
LASTING = itemgetter(*sorted(CheckEntry.__annotations__.keys() - VOLATILE - {"strip", "objective"}))


def revision(data: Mapping[str, Any]) -> str:
    """Return what is another text once something has changed that does not change by itself."""
    return sha256(to_json(_without(data, VOLATILE)).encode()).hexdigest()[:16]


def fingerprint(data: Mapping[str, Any]) -> str:
    """Return what is the same as long as nothing was found anew: only time has passed."""
    return sha256(to_json(_without(data, PASSING)).encode()).hexdigest()[:16]


def _without(value: Any, keys: frozenset[str], depth: int = 2) -> Any:
    """Return the data without these keys, which are those of the whole and of its entries."""
    if isinstance(value, Mapping) and depth == 1:
        return {key: each for key, each in value.items() if key not in keys}
    if isinstance(value, Mapping) and depth:
        return {key: _without(each, keys, depth - 1) for key, each in value.items() if key not in keys}
    return [_without(each, keys, depth) for each in value] if isinstance(value, list) and depth else value


def in_words(check: CheckEntry) -> tuple[Any, ...]:
    """Return what a check is, with sentences in place of the figures that they are made of, which are many."""
    strip, objective = check["strip"], check["objective"]
    days = None if strip is None else strip["states"] + strip["summary"]
    return *LASTING(check), days, None if objective is None else objective["sentence"]
