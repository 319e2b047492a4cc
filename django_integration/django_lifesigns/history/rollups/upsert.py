"""Adds to the rows of roll-ups, in one statement whose arithmetic the database does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from django.db import connections

from django_lifesigns.history.rollups.allot import Increments, Key
from django_lifesigns.history.rollups.figures import COUNTS, COVERED, FIGURES
from django_lifesigns.history.statements import Expression, Values, insert_into, on_conflict

# SQLite takes 32,766 parameters in one statement.
BATCH = 1_000
UNIQUE = ("check_name", "period", "start", "source")
COLUMNS = (*UNIQUE, "until", *FIGURES)


def add(increments: Increments, using: str, *, only_new: bool = False, is_earlier: bool = False) -> None:
    """Add to rows that are there, and make those that are not; in no transaction of its own.

    Args:
        only_new: rows that are there stay as they are.
        is_earlier: it is of a time before that of all sources, in which none of them covered anything.
    """
    # In one order everywhere: two processes that lock the same rows cannot wait for each other.
    keys = iter(sorted(increments.rows))
    while batch := list(islice(keys, BATCH)):
        values = Values()
        rows = [values.row(*_row(key, increments)) for key in batch]
        with connections[using].cursor() as cursor:
            cursor.execute(_statement(rows, using, only_new, is_earlier), values.parameters)


def _row(key: Key, increments: Increments) -> list[object]:
    figures = increments.rows[key]
    numbers = (int(figures.get(name, 0)) if name in COUNTS else float(figures.get(name, 0.0)) for name in FIGURES)
    return [*key, increments.until[key], *numbers]


def _statement(rows: Sequence[str], using: str, only_new: bool, is_earlier: bool) -> str:
    from django_lifesigns.history.rollups.model import Rollup

    connection, table = connections[using], Rollup._meta.db_table

    def changes(old: Expression, new: Expression) -> dict[str, str]:
        return _changes(old, new, only_new, is_earlier)

    return f"{insert_into(connection, table, COLUMNS, rows)} {on_conflict(connection, table, UNIQUE, changes)}"


def _changes(old: Expression, new: Expression, only_new: bool, is_earlier: bool) -> dict[str, str]:
    if only_new:
        return {"until": old("until")}
    changes = {name: f"{old(name)} + {new(name)}" for name in FIGURES}
    if not is_earlier:
        # Sources follow each other closely: what they have up to the time until which a row is counted is covered.
        # MySQL counts with columns that are changed already: `until` is the last one.
        more, covers = f"({new('until')} - {old('until')})", new(COVERED)
        gained = f"CASE WHEN {more} < 0 THEN 0 WHEN {more} < {covers} THEN {more} ELSE {covers} END"
        changes[COVERED] = f"{old(COVERED)} + {gained}"
    changes["until"] = f"CASE WHEN {old('until')} < {new('until')} THEN {new('until')} ELSE {old('until')} END"
    return changes
