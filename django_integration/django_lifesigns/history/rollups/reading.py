"""Reads roll-ups: for a time the fewest rows that make it up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connections, router, transaction
from django.db.models import QuerySet

from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE, finest

Figures = dict[str, float]
# Rows of a period from a time on, up to another one or to the latest.
Segment = tuple[str, int, int | None]
MOST_NAMES = 100
ROWS_AT_ONCE = 500


class Cell(NamedTuple):
    """Rows that belong to the same windows, which are given by their places."""

    segment: Segment
    windows: frozenset[int]


def segments(since: float, until: float, now: float) -> list[Segment]:
    """Return (period, from, to) of the rows that together are the time from `since` to `until`.

    Minutes up to the first full hour, hours up to the first full day, days, and back to hours and minutes before the
    end; without an end where that is `now`. It begins and ends with whole rows: minutes, or what there still is of a
    time that long ago.
    """
    start = finest(since, now).start(since)
    hour, day = _next(HOUR.seconds, start), _next(DAY.seconds, start)
    if until >= now:
        if hour > now:
            parts: list[Segment] = [(MINUTE.name, start, None)]
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


def cells(windows: Sequence[Sequence[Segment]]) -> list[Cell]:
    """Cut the segments of windows so that none overlaps another: no row is read twice, however many windows have it."""
    found = []
    for period in (MINUTE.name, HOUR.name, DAY.name):
        own = [
            (number, first, to) for number, window in enumerate(windows) for name, first, to in window if name == period
        ]
        edges = sorted({edge for _, first, to in own for edge in (first, to) if edge is not None})
        for start, end in zip(edges, [*edges[1:], None], strict=False):
            inside = frozenset(number for number, first, to in own if first <= start and (to is None or start < to))
            if inside:
                found.append(Cell((period, start, end), inside))
    return found


def sums(
    windows: Mapping[str, Sequence[Segment]],
    fields: Sequence[str],
    names: Collection[str] = (),
    some: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[str, dict[str, Figures]]:
    """Return by check and window the sums of these fields: one query.

    Args:
        windows: the rows of each, as `segments` has them.
        fields: names of columns.
        names: of checks; without any, all.
        some: by window the names of the checks for which it is needed, if not for all: it may be 0 for others.
    """
    from django_lifesigns.models import Rollup

    using = router.db_for_read(Rollup)
    few = names if 0 < len(names) <= MOST_NAMES else None
    needed = [some.get(window) for window in windows]
    parts = [(part, _names_of(part, needed, few)) for part in cells([*windows.values()])]
    with quick_plans(using), connections[using].cursor() as cursor:
        cursor.execute(*_statement(using, parts, len(windows), fields))
        rows = cursor.fetchall()
    wanted = frozenset(names)
    by_check: dict[str, dict[str, Figures]] = {}
    for name, *values in rows:
        if wanted and name not in wanted:
            continue
        # Whole numbers are decimals to some databases.
        numbers = iter([*map(float, values)])
        by_check[name] = {window: {field: next(numbers) for field in fields} for window in windows}
    return by_check


def _names_of(
    part: Cell, needed: Sequence[Collection[str] | None], few: Collection[str] | None
) -> Collection[str] | None:
    """Return the names of the checks whose rows of a cell are read, of which each window needs some; `None` for all."""
    found: set[str] = set()
    for window in part.windows:
        names = needed[window]
        if names is None or len(found | {*names}) > MOST_NAMES:
            return few
        found |= {*names}
    return found


def _statement(
    using: str, parts: Sequence[tuple[Cell, Collection[str] | None]], windows: int, fields: Sequence[str]
) -> tuple[str, list[Any]]:
    """Return the query, and its parameters, for the sums of each field in each window, by check.

    First those of cells, each by the index; then those of windows, of the few rows that cells have. To take the sums of
    all windows from all rows would take many times as long.
    """
    from django_lifesigns.models import Rollup

    quote = connections[using].ops.quote_name
    name, table = quote("check_name"), quote(Rollup._meta.db_table)
    own = ", ".join(f"SUM({quote(field)}) AS {quote(f'sum_{number}')}" for number, field in enumerate(fields))
    selects: list[str] = []
    parameters: list[Any] = []
    for number, (((period, start, end), _), names) in enumerate(parts):
        where = f"{quote('period')} = %s AND {quote('start')} >= %s"
        parameters += [period, start]
        if end is not None:
            where += f" AND {quote('start')} < %s"
            parameters.append(end)
        if names is not None:
            where += f" AND {name} IN ({', '.join(['%s'] * len(names))})" if names else " AND 1 = 0"
            parameters += names
        selects.append(f"SELECT {name}, {number} AS {quote('cell')}, {own} FROM {table} WHERE {where} GROUP BY {name}")
    numbers = [
        ", ".join(str(number) for number, (part, _) in enumerate(parts) if window in part.windows)
        for window in range(windows)
    ]
    columns = [
        f"SUM(CASE WHEN {quote('cell')} IN ({numbers[window]}) THEN {quote(f'sum_{number}')} ELSE 0 END)"
        for window in range(windows)
        for number, _ in enumerate(fields)
    ]
    inner = " UNION ALL ".join(selects)
    return f"SELECT {name}, {', '.join(columns)} FROM ({inner}) {quote('cells')} GROUP BY {name}", parameters


def raw_rows(rows: QuerySet[Any], using: str | None = None) -> Iterator[tuple[Any, ...]]:
    """Yield rows as the database gives them: what Django makes of each value takes longest.

    Args:
        using: None: where the routers have it read.
    """
    using = using or router.db_for_read(rows.model)
    sql, parameters = rows.using(using).query.get_compiler(using).as_sql()
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        # Not all at once: the garbage collector goes through what there is of them.
        while some := cursor.fetchmany(ROWS_AT_ONCE):
            yield from some


@contextmanager
def quick_plans(using: str, *, is_needed: bool = True) -> Iterator[None]:
    """Keep PostgreSQL from compiling the queries in this block, and from starting processes for them.

    It takes the roll-ups of a period and those after a time for independent, and expects many times the rows that there
    are: it would compile for longer than it reads, or read a whole index on several processes.
    """
    if connections[using].vendor != "postgresql" or not is_needed:
        yield
        return
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0")
        yield
