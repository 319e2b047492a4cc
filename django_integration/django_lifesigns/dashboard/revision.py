"""Tells whether the dashboard shows something else than it did: beside times and durations, or at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django_lifesigns.dashboard.shapes import CheckEntry
from django_lifesigns.history.json_text import to_json

# Which change as time passes, and with each run of a check that finds the same.
PASSING = frozenset(["at", "retry_after_seconds", "duration_seconds", "lag_seconds"])
VOLATILE = PASSING | {"timestamp", "duration_ms"}
# Of a check, whose sentences stand for what is longer.
IN_WORDS = VOLATILE | {"strip", "objective"}


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


def in_words(check: CheckEntry) -> dict[str, Any]:
    """Return a check with the sentences in place of the figures that they are made of, which are many."""
    found = {key: value for key, value in check.items() if key not in IN_WORDS}
    strip, objective = check["strip"], check["objective"]
    found["days"] = None if strip is None else strip["states"] + strip["summary"]
    found["budget"] = None if objective is None else objective["sentence"]
    return found
