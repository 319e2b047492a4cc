"""Statements that add many rows at once, in the words of each database."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

# What means the same between quotes in each database, whatever its settings, and to each driver.
PLAIN = re.compile(r"""[\w \-+.,:;=(){}\[\]/"@#<>!&*]*""", re.ASCII)
# From the column's name the expression of its value that is there, or of the new one.
Expression = Callable[[str], str]


class Values:
    """The values of rows, each as a literal where it can be one: drivers take several times as long for a parameter.

    They are as the database's backend has prepared them.
    """

    def __init__(self) -> None:
        self.parameters: list[Any] = []

    def row(self, *values: object) -> str:
        """Return a row with literals and placeholders."""
        return f"({', '.join(map(self._value, values))})"

    def _value(self, value: object) -> str:
        if value is None:
            return "NULL"
        if type(value) is int or (type(value) is float and math.isfinite(value)):
            return repr(value)
        if isinstance(value, (str, datetime, UUID)) and PLAIN.fullmatch(text := str(value)):
            return f"'{text}'"
        self.parameters.append(value)
        return "%s"


def insert_into(connection: BaseDatabaseWrapper, table: str, columns: Iterable[str], rows: Iterable[str]) -> str:
    """Return the statement that inserts rows, as `Values` has them."""
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
