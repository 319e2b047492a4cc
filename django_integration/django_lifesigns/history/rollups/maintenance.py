"""Planned maintenance, as `LIFESIGNS["ALERTS"]["MAINTENANCE"]` has it: once, or by a cron expression, in UTC.

What is wrong in an entry is no maintenance; the system checks of the alerts name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings

Interval = tuple[float, float]

# (lowest, highest) of minute, hour, day of month, month, day of week; Sunday is 0 and 7.
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = dict(zip(MONTHS, range(1, 13), strict=True))
_DAYS = dict(zip(DAYS, range(7), strict=True))
NAMES: tuple[Mapping[str, int], ...] = ({}, {}, {}, _MONTHS, _DAYS)
MOST_MINUTES = 31 * 24 * 60


class Maintenance:
    """All windows between two times, in seconds since 1970."""

    def __init__(self, since: float, until: float) -> None:
        self._windows = [window for entry in _entries() for window in _windows(entry, since, until)]

    def of(self, check: str) -> list[Interval]:
        """Return when the check was in maintenance, in order and without overlaps."""
        own = sorted(
            interval for interval, globs in self._windows if any(fnmatchcase(check, pattern) for pattern in globs)
        )
        merged: list[Interval] = []
        for start, end in own:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def _entries() -> Sequence[Mapping[str, Any]]:
    alerts: Any = getattr(settings, "LIFESIGNS", None)
    for key in ("ALERTS", "MAINTENANCE"):
        alerts = alerts.get(key) if isinstance(alerts, Mapping) else None
    return [entry for entry in alerts if isinstance(entry, Mapping)] if isinstance(alerts, (list, tuple)) else []


def _windows(entry: Mapping[str, Any], since: float, until: float) -> Iterator[tuple[Interval, Sequence[str]]]:
    globs = entry.get("checks", ["*"])
    if not isinstance(globs, (list, tuple)) or not all(isinstance(pattern, str) for pattern in globs):
        return
    found: list[Interval] = []
    with suppress(ValueError, TypeError, AttributeError, KeyError, OverflowError):
        if "cron" in entry:
            found = list(_by_cron(entry["cron"], entry["minutes"], since, until))
        else:
            found = [(_time(entry["start"]), _time(entry["end"]))]
    for start, end in found:
        if start < until and end > since and start < end:
            yield (start, end), globs


def _time(text: str | datetime) -> float:
    at = text if isinstance(text, datetime) else datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()


def _by_cron(expression: str, minutes: float, since: float, until: float) -> Iterator[Interval]:
    if not 0 < minutes <= MOST_MINUTES:
        return
    cron = Cron(expression)
    start = int((since - 60 * minutes) // 60) * 60
    for at in range(start, int(until) + 1, 60):
        if cron.matches(at):
            yield float(at), at + 60.0 * minutes


class Cron:
    """Five fields: minute, hour, day of month, month, day of week. ValueError if they are none."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) != len(RANGES):
            raise ValueError("a cron expression has five fields")
        sets = [_values(text, *bounds, names) for text, bounds, names in zip(fields, RANGES, NAMES, strict=True)]
        self._minutes, self._hours, self._days, self._months, weekdays = sets
        self._weekdays = {day % 7 for day in weekdays}
        # As cron has it: where both days are restricted, either will do.
        self._either = not fields[2].startswith("*") and not fields[4].startswith("*")

    def matches(self, at: int) -> bool:
        """Return whether it fires in the minute that starts at a time since 1970."""
        if at // 60 % 60 not in self._minutes or at // 3_600 % 24 not in self._hours:
            return False
        day = datetime.fromtimestamp(at, timezone.utc)
        of_month, of_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        return day.month in self._months and (of_month or of_week if self._either else of_month and of_week)


def _values(text: str, lowest: int, highest: int, names: Mapping[str, int]) -> set[int]:
    values: set[int] = set()
    for part in text.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (lowest, highest) if first == "*" else (_number(first, names), _number(last or first, names))
        if step and not last and first != "*":
            high = highest
        if not lowest <= low <= high <= highest or (step and int(step) < 1):
            raise ValueError(f"{part} is out of range")
        values.update(range(low, high + 1, int(step or 1)))
    return values


def _number(text: str, names: Mapping[str, int]) -> int:
    return names[text] if text in names else int(text)
