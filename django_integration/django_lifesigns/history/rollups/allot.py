"""Spreads what a source has counted since it was last rolled up over minutes, hours and days: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django_lifesigns.history.rollups.figures import COUNTS, COVERED, DURATIONS, SECONDS, STATUSES, STRETCHES
from django_lifesigns.history.rollups.maintenance import Interval
from django_lifesigns.history.rollups.periods import PERIODS, TOTAL, finest
from django_lifesigns.history.rollups.samples import Sample
from lifesigns.results import CheckCounters

Figures = dict[str, float]
# What the engine counts itself.
COUNTED = ("healthy", "degraded", "error", "duration_seconds", *COUNTS)
# Seconds that are none of these in planned maintenance.
KNOWN = (*STATUSES, "blocked")
# Below this a difference is one of rounding.
LEAST = 1e-3


class Key(NamedTuple):
    """Which row."""

    check_name: str
    period: str
    start: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to when a source is rolled up, and its totals at that time."""

    start: int
    until: float
    totals: Mapping[str, float]


@dataclass(slots=True)
class Step:
    """What one check did in a time: `figures` by the names of columns."""

    start: float
    end: float
    figures: Figures

    @property
    def length(self) -> float:
        return self.end - self.start


class Increments:
    """What is to be added to rows, and until when that is."""

    def __init__(self) -> None:
        self.rows: dict[Key, Figures] = {}
        self.until: dict[Key, float] = {}

    def add(self, key: Key, until: float, figures: Mapping[str, float]) -> None:
        """Add figures to a row."""
        row = self.rows.setdefault(key, {})
        for name, value in figures.items():
            if value:
                row[name] = row.get(name, 0) + value
        self.until[key] = max(until, self.until.get(key, 0.0))


def totals(counters: CheckCounters) -> Figures:
    """Return the totals of a sample by the names of columns."""
    by_name: Figures = {name: counters[name] for name in COUNTED if name not in DURATIONS}  # type: ignore[literal-required]
    return {**by_name, **dict(zip(DURATIONS, counters["durations"], strict=True))}


def allot(
    samples: Sequence[Sample], cursors: Mapping[str, Cursor], maintenance: Mapping[str, Sequence[Interval]]
) -> Increments:
    """Return what the samples, oldest first, have beyond the cursors, which are by epoch.

    A check whose epoch has no cursor is left out.

    Args:
        maintenance: by check, in order and without overlaps.
    """
    increments = Increments()
    known = dict(cursors)
    now = max((counters["at"] for sample in samples[-1:] for counters in sample.values()), default=0.0)
    for sample in samples:
        steps: dict[str, Step] = {}
        for name, counters in sample.items():
            epoch = counters["epoch"]
            cursor = known.get(epoch) if epoch else None
            if epoch is None or cursor is None:
                continue
            counted = totals(counters)
            new = {figure: value - cursor.totals.get(figure, 0) for figure, value in counted.items()}
            if step := _step(cursor.until, counters["at"], new):
                steps[name] = step
                known[epoch] = Cursor(cursor.start, counters["at"], counted)
                increments.add(Key(name, TOTAL, cursor.start, epoch), counters["at"], new)
        _block(steps, sample)
        for name, step in steps.items():
            spread(increments, name, step, maintenance.get(name, ()), now)
    return increments


def _step(start: float, at: float, new: Mapping[str, float]) -> Step | None:
    """Return what is new in a sample since `start`; None if it is older."""
    if min(new.values()) < -LEAST or (at <= start and max(new.values()) < LEAST):
        return None
    figures = {name: max(0, value) for name, value in new.items()}
    counted = sum(figures[status] for status in STATUSES)
    if at - start < counted - 1:
        start = at - counted  # the clock was put back
    elif at > start and counted > at - start:  # it was put right a little
        for status in STATUSES:
            figures[status] *= (at - start) / counted
    return Step(start, at, figures) if at > start else None


def _block(steps: Mapping[str, Step], sample: Sample) -> None:
    """Count the time in which a parent was in error, or blocked itself, as blocked.

    The child was not run then, and what was shown of it before holds no more: the time is taken from its error, which
    most likely had the same cause, then from its unknown time.
    """
    for name, step in steps.items():  # parents first
        parents = [steps[parent] for parent in sample[name]["depends_on"] if parent in steps]
        shares = (
            (parent.figures["error"] + parent.figures.get("blocked", 0)) / parent.length
            for parent in parents
            if parent.length > 0
        )
        lost = min(1.0, max(shares, default=0.0)) * step.length
        if lost < LEAST:
            continue
        step.figures["blocked"] = lost
        unknown = max(0.0, step.length - sum(step.figures[status] for status in STATUSES))
        for status in ("error", "", "degraded", "healthy"):
            taken = min(lost, step.figures[status] if status else unknown)
            lost -= taken
            if status:
                step.figures[status] -= taken
        if step.figures["error"] < LEAST:
            step.figures["error_stretches"] = 0
            if step.figures["degraded"] < LEAST:
                step.figures["unhealthy_stretches"] = 0


def spread(increments: Increments, name: str, step: Step, maintenance: Sequence[Interval], now: float) -> None:
    """Add a step to the rows of its minutes, hours and days, if there are still such: evenly, runs as whole numbers.

    Time in maintenance is that alone.
    """
    overlaps = [(start, end) for start, end in maintenance if start < step.end and end > step.start]
    if not overlaps and not any(step.figures.values()):
        return
    counts = {count: step.figures[count] for count in COUNTS if step.figures.get(count)}
    seconds = {name: value for name, value in step.figures.items() if value and name not in COUNTS}
    kept = [(period, period.kept_since(now)) for period in PERIODS]
    given = dict.fromkeys(counts, 0)
    for start, end in _pieces(step, overlaps, now):
        is_planned = any(first <= start and end <= last for first, last in overlaps)
        share = (end - start) / step.length
        figures = {each: value * share for each, value in seconds.items() if not is_planned or each not in KNOWN}
        if is_planned:
            figures["maintenance"] = end - start
        figures[COVERED] = sum(figures.get(each, 0.0) for each in SECONDS)
        up_to = 1.0 if end >= step.end else (end - step.start) / step.length
        for each, total in counts.items():
            so_far = int(total * up_to)
            if not is_planned or each not in STRETCHES:
                figures[each] = so_far - given[each]
            given[each] = so_far
        for period, since in kept:
            if start >= since:
                increments.add(Key(name, period.name, period.start(start)), end, figures)


def _pieces(step: Step, overlaps: Sequence[Interval], now: float) -> Iterator[tuple[float, float]]:
    """Cut a step where minutes end, hours or days where that is long ago, and where maintenance starts or ends."""
    edges = sorted({edge for interval in overlaps for edge in interval if step.start < edge < step.end})
    edges.append(step.end)
    start = step.start
    for edge in edges:
        while start < edge:
            period = finest(start, now)
            end = min(edge, float(period.start(start) + period.seconds))
            yield start, end
            start = end
