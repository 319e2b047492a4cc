"""Statements that add many rows at once, in the words of each database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

# From the column's name the expression of its value that is there, or of the new one.
Expression = Callable[[str], str]


def insert_into(connection: BaseDatabaseWrapper, table: str, columns: Iterable[str], rows: Iterable[str]) -> str:
    """Return the statement that inserts rows, each of which is ``(value, ...)`` with literals and placeholders."""
    quote = connection.ops.quote_name
    return f"INSERT INTO {quote(table)} ({', '.join(map(quote, columns))}) VALUES {', '.join(rows)}"


def on_conflict(
    connection: BaseDatabaseWrapper,
    table: str,
    unique: Iterable[str],
    changes: Callable[[Expression, Expression], Mapping[str, str]],
) -> str:
    """Return what follows `insert_into` for rows that are there already.

    Args:
        unique: the columns in which such a row is equal.
        changes: returns the new value of each column that changes, given the expressions of old and new ones.

    Raises:
        NotSupportedError: the database has no upsert.
    """
    quote, features = connection.ops.quote_name, connection.features
    if features.supports_update_conflicts_with_target:
        conflict, new = f"ON CONFLICT ({', '.join(map(quote, unique))}) DO UPDATE SET", "excluded.{}"
    elif features.supports_update_conflicts:
        conflict, new = "ON DUPLICATE KEY UPDATE", "VALUES({})"
    else:
        raise NotSupportedError(f"{connection.display_name} has no upsert: the history cannot be kept there")
    changed = changes(lambda column: f"{quote(table)}.{quote(column)}", lambda column: new.format(quote(column)))
    return f"{conflict} {', '.join(f'{quote(column)} = {value}' for column, value in changed.items())}"
