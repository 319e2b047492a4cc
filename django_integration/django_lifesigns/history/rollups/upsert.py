"""Adds to the rows of roll-ups, in one statement whose arithmetic the database does."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.db import NotSupportedError, connections

from django_lifesigns.history.rollups.allot import Increments, Key
from django_lifesigns.history.rollups.figures import COUNTS, COVERED, FIGURES

# SQLite takes 32,766 parameters in one statement.
BATCH = 1_000


def add(increments: Increments, using: str, *, only_new: bool = False, is_earlier: bool = False) -> None:
    """Add to rows that are there, and make those that are not; in no transaction of its own.

    Args:
        only_new: rows that are there stay as they are.
        is_earlier: it is of a time before that of all sources, in which none of them covered anything.
    """
    # In one order everywhere: two processes that lock the same rows cannot wait for each other.
    keys = iter(sorted(increments.rows))
    while batch := list(islice(keys, BATCH)):
        with connections[using].cursor() as cursor:
            cursor.execute(
                _statement(len(batch), using, only_new, is_earlier),
                [value for key in batch for value in _row(key, increments)],
            )


def _row(key: Key, increments: Increments) -> list[Any]:
    figures = increments.rows[key]
    numbers = (int(figures.get(name, 0)) if name in COUNTS else float(figures.get(name, 0.0)) for name in FIGURES)
    return [*key, increments.until[key], *numbers]


def _statement(rows: int, using: str, only_new: bool, is_earlier: bool) -> str:
    from django_lifesigns.history.rollups.model import Rollup

    connection = connections[using]
    quote, features = connection.ops.quote_name, connection.features
    table = quote(Rollup._meta.db_table)
    names = ("check_name", "period", "start", "source", "until", *FIGURES)
    if features.supports_update_conflicts_with_target:
        target = ", ".join(map(quote, names[:4]))
        conflict, new = f"ON CONFLICT ({target}) DO UPDATE SET", "excluded.{}"
    elif features.supports_update_conflicts:
        conflict, new = "ON DUPLICATE KEY UPDATE", "VALUES({})"
    else:
        raise NotSupportedError(f"{connection.display_name} has no upsert: roll-ups cannot be kept there")
    old, newer = f"{table}.{quote('until')}", new.format(quote("until"))
    changes = {} if only_new else {name: f"{table}.{quote(name)} + {new.format(quote(name))}" for name in FIGURES}
    if changes and not is_earlier:
        # Sources follow each other closely: what they have up to the time until which a row is counted is covered.
        # MySQL counts with columns that are changed already: `until` is the last one.
        more, covers = f"({newer} - {old})", new.format(quote(COVERED))
        gained = f"CASE WHEN {more} < 0 THEN 0 WHEN {more} < {covers} THEN {more} ELSE {covers} END"
        changes[COVERED] = f"{table}.{quote(COVERED)} + {gained}"
    changes["until"] = old if only_new else f"CASE WHEN {old} < {newer} THEN {newer} ELSE {old} END"
    row = f"({', '.join(['%s'] * len(names))})"
    return (
        f"INSERT INTO {table} ({', '.join(map(quote, names))}) VALUES {', '.join([row] * rows)} {conflict} "
        + ", ".join(f"{quote(name)} = {change}" for name, change in changes.items())
    )
