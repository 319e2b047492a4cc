"""Reads roll-ups: for a time the fewest rows that make it up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, Sum

from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE, finest

Figures = dict[str, float]
MOST_NAMES = 100


def segments(since: float, until: float, now: float) -> list[tuple[str, int, int | None]]:
    """Return (period, from, to) of the rows that together are the time from `since` to `until`.

    Minutes up to the first full hour, hours up to the first full day, days, and back to hours and minutes before the
    end; without an end where that is `now`. It begins and ends with whole rows: minutes, or what there still is of a
    time that long ago.
    """
    start = finest(since, now).start(since)
    hour, day = _next(HOUR.seconds, start), _next(DAY.seconds, start)
    if until >= now:
        if hour > now:
            parts: list[tuple[str, int, int | None]] = [(MINUTE.name, start, None)]
        elif day > now:
            parts = [(MINUTE.name, start, hour), (HOUR.name, hour, None)]
        else:
            parts = [(MINUTE.name, start, hour), (HOUR.name, hour, day), (DAY.name, day, None)]
    else:
        last = finest(until, now)
        end = _next(last.seconds, max(int(until), start + 1))
        last_hour, last_day = HOUR.start(end), DAY.start(end)
        if hour > last_hour:
            parts = [(MINUTE.name, start, end)]
        else:
            if day > last_day:
                parts = [(HOUR.name, hour, last_hour)]
            else:
                parts = [(HOUR.name, hour, day), (DAY.name, day, last_day), (HOUR.name, last_day, last_hour)]
            parts = [(MINUTE.name, start, hour), *parts, (MINUTE.name, last_hour, end)]
    return [(period, first, to) for period, first, to in parts if to is None or first < to]


def _next(seconds: int, at: int) -> int:
    return -(-at // seconds) * seconds


def tiles(since: float, until: float, now: float) -> Q:
    """Return the condition of those rows."""
    return reduce(or_, (_rows(*segment) for segment in segments(since, until, now)))


def sums(
    windows: Mapping[str, Q], fields: Collection[str], names: Collection[str] = ()
) -> dict[str, dict[str, Figures]]:
    """Return by check and window the sums of these fields: one query.

    Args:
        windows: the rows of each, as `tiles` has them.
        names: of checks; without any, all.
    """
    from django_lifesigns.models import Rollup

    found = Rollup.objects.filter(reduce(or_, windows.values())).order_by()
    if 0 < len(names) <= MOST_NAMES:
        found = found.filter(check_name__in=names)
    columns = [(window, field) for window in windows for field in fields]
    # By number: a window's name is no identifier.
    totals = {f"sum_{number}": Sum(field, filter=windows[window]) for number, (window, field) in enumerate(columns)}
    by_check: dict[str, dict[str, Figures]] = {}
    for name, *values in found.values_list("check_name").annotate(**totals):
        if names and name not in names:
            continue
        figures = by_check.setdefault(name, {window: {} for window in windows})
        for (window, field), value in zip(columns, values, strict=True):
            figures[window][field] = value or 0
    return by_check


def hours(
    since: float, now: float, condition: Q, fields: Iterable[str], names: Collection[str]
) -> list[tuple[Any, ...]]:
    """Return (check, start, length, *fields) of hours, or of days where there are no hours any more: one query."""
    from django_lifesigns.models import Rollup

    since_hours = DAY.start(max(since, now - HOUR.kept) + DAY.seconds - 1) if since < now - HOUR.kept else since
    rows = _rows(HOUR.name, HOUR.start(since_hours), None)
    if since < since_hours:
        rows |= _rows(DAY.name, DAY.start(since), DAY.start(since_hours))
    found = Rollup.objects.filter(rows, condition).order_by("start")
    if len(names) <= MOST_NAMES:
        found = found.filter(check_name__in=names)
    lengths = {HOUR.name: HOUR.seconds, DAY.name: DAY.seconds}
    return [
        (name, start, lengths[period], *values)
        for name, start, period, *values in found.values_list("check_name", "start", "period", *fields)
        if name in names
    ]


def _rows(period: str, start: int, end: int | None) -> Q:
    rows = Q(period=period, start__gte=start)
    return rows if end is None else rows & Q(start__lt=end)
