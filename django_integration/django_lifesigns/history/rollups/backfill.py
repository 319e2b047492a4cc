"""Rolls up the results that were recorded before roll-ups were: once each, however often it is started or stopped."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from django.db import router

from django_lifesigns.checks.timezones import kept, utc
from django_lifesigns.checks.write_locks import atomic_write
from django_lifesigns.history.reports.durations import LONGEST_MS
from django_lifesigns.history.rollups.allot import Increments, Key, Step, spread
from django_lifesigns.history.rollups.figures import DURATIONS, STATUSES
from django_lifesigns.history.rollups.maintenance import Interval, windows
from django_lifesigns.history.rollups.periods import PERIODS, TOTAL
from django_lifesigns.history.rollups.upsert import add
from django_lifesigns.history.rollups.writer import LIVE, LOG
from lifesigns.results import DURATION_BOUNDS

# Rows in one transaction.
CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class LoggedResult:
    """One row of the log; `at` in seconds since 1970."""

    status: str
    at: float
    duration_ms: float


def logged_checks() -> list[str]:
    """Return the names of the checks of which there are results."""
    from django_lifesigns.models import HealthCheckLog

    return sorted(HealthCheckLog.objects.order_by().values_list("check_name", flat=True).distinct())


def backfill(
    check: str, hold: float, now: float | None = None, done: Callable[[int], object] = lambda _rows: None
) -> int:
    """Roll up the results of a check up to the time from which the engine's counters are; return how many.

    A result holds until the next one, at most `hold` seconds. It continues where an earlier call has ended, in
    transactions of 20,000 rows; `done` is called with the number of each.
    """
    from django_lifesigns.models import Rollup

    now = time.time() if now is None else now
    using = router.db_for_write(Rollup)
    # So that there is a row to lock.
    mark = Rollup(check_name=check, period=TOTAL, start=0, source=LOG, until=0.0)
    Rollup.objects.using(using).bulk_create([mark], ignore_conflicts=True)
    count, planned = 0, None
    while True:
        with atomic_write(Rollup, using):
            marks = Rollup.objects.using(using).filter(check_name=check, period=TOTAL, source__in=[LIVE, LOG])
            until = dict(marks.select_for_update().values_list("source", "until"))
            end = min(until.get(LIVE, now), now)
            results = _results(check, until[LOG], end)
            if planned is None:
                first = results[0].at if results else end
                planned = windows([check], min(first, until[LOG] or first), end)[check]
            is_last = len(results) < CHUNK
            ends = end if is_last else results[-1].at
            before = _before(check, until[LOG]) if until[LOG] else None
            increments = Increments()
            known = [*([before] if before else []), *results]
            for step in _steps(known, until[LOG], ends, hold):
                spread(increments, check, step, planned, now)
            _count_runs(increments, check, known, until[LOG], planned, now)
            reached = _reached(results or ([before] if before else []), end, hold, is_last, LIVE in until)
            increments.add(Key(check, TOTAL, 0, LOG), reached, {})
            add(increments, using, is_earlier=True)
        count += len(results)
        done(len(results))
        if is_last:
            return count


def _reached(results: Sequence[LoggedResult], end: float, hold: float, is_last: bool, is_live: bool) -> float:
    """Return up to when all is rolled up."""
    if is_last and is_live:
        return end
    if not results:
        return 0.0
    return min(results[-1].at + hold, end) if is_last else results[-1].at


def _steps(results: Sequence[LoggedResult], since: float, end: float, hold: float) -> Iterator[Step]:
    """Yield the times after `since` for which results hold; those of one status that follow each other as one."""
    following = [*(result.at for result in results[1:]), end][: len(results)]
    status, first, last = "", since, since
    for result, until in zip(results, following, strict=True):
        start, until = max(since, result.at), min(until, result.at + hold, end)
        if until <= start:
            continue
        if result.status != status or start > last:
            if last > first:
                yield Step(first, last, {status: last - first})
            status, first = result.status, start
        last = until
    if last > first:
        yield Step(first, last, {status: last - first})


def _count_runs(
    increments: Increments,
    check: str,
    results: Sequence[LoggedResult],
    since: float,
    maintenance: Sequence[Interval],
    now: float,
) -> None:
    """Add the runs after `since`."""
    for number, result in enumerate(results):
        if result.at <= since:
            continue
        previous = results[number - 1].status if number else None
        is_planned = any(first <= result.at < last for first, last in maintenance)
        figures = dict(_run(result, previous, is_planned=is_planned))
        for period in PERIODS:
            if result.at >= period.kept_since(now):
                increments.add(Key(check, period.name, period.start(result.at)), result.at, figures)


def _run(result: LoggedResult, previous: str | None, *, is_planned: bool) -> Iterator[tuple[str, float]]:
    yield f"{result.status}_runs", 1
    seconds = result.duration_ms / 1000
    yield "duration_seconds", seconds
    yield DURATIONS[bisect.bisect_left(DURATION_BOUNDS, seconds)], 1
    if is_planned:
        return
    if result.status == "error" != previous:
        yield "error_stretches", 1
    if result.status != "healthy" and previous in (None, "healthy"):
        yield "unhealthy_stretches", 1


def _results(check: str, since: float, until: float) -> list[LoggedResult]:
    """Return the first results after `since` and before `until`: those of one time are never parted."""
    from django_lifesigns.models import HealthCheckLog

    rows = HealthCheckLog.objects.filter(check_name=check, status__in=STATUSES, checked_at__lt=_time(until))
    if since:
        rows = rows.filter(checked_at__gt=_time(since))
    columns = ("status", "checked_at", "duration_ms")
    found = list(rows.order_by("checked_at").values_list(*columns)[:CHUNK])
    if len(found) == CHUNK:
        last = found[-1][1]
        whole = [row for row in found if row[1] != last]
        found = [*whole, *rows.filter(checked_at=last).values_list(*columns)]
    return [_result(row) for row in found]


def _before(check: str, since: float) -> LoggedResult | None:
    """Return the last result up to a time: it may hold beyond it."""
    from django_lifesigns.models import HealthCheckLog

    rows = HealthCheckLog.objects.filter(check_name=check, checked_at__lte=_time(since), status__in=STATUSES)
    row = rows.order_by("-checked_at").values_list("status", "checked_at", "duration_ms").first()
    return _result(row) if row else None


def _result(row: tuple[Any, ...]) -> LoggedResult:
    status, at, duration = row
    # An adopted table, or SQLite, may hold anything there.
    plausible = duration if isinstance(duration, (int, float)) and 0 <= duration < LONGEST_MS else 0.0
    return LoggedResult(status, utc(at).timestamp(), plausible)


def _time(at: float) -> datetime:
    return kept(datetime.fromtimestamp(round(at, 6), timezone.utc))


def holds(default: float, log_every: float, counters: Mapping[str, Any]) -> Callable[[str], float]:
    """Return for how many seconds a logged result of a check holds: as in the engine, and between logged ones."""

    def hold(check: str) -> float:
        own = counters.get(check)
        return log_every + (own["stale_after"] if own else default)

    return hold
