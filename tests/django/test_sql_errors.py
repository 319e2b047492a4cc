"""Which errors of a database's driver say that a statement is wrong."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, DataError, OperationalError, ProgrammingError

from django_lifesigns.checks.sql_errors import is_of_statement


class DriverError(Exception):
    """As psycopg raises it."""

    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [("42601", True), ("42703", True), ("22P02", True), ("42501", False), ("57014", False), ("40001", False)],
)
def test_sqlstate_decides(sqlstate: str, expected: bool) -> None:
    error = ProgrammingError("text of the server")
    error.__cause__ = DriverError(sqlstate)
    assert is_of_statement(error) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("no such column: x"), True),
        (OperationalError('near "FROM": syntax error'), True),
        (OperationalError("interrupted"), False),
        (OperationalError("database is locked"), False),
        (OperationalError(1054, "Unknown column"), True),
        (OperationalError(1142, "SELECT command denied"), False),
        (OperationalError(3024, "maximum statement execution time exceeded"), False),
        (ProgrammingError(1146, "Table does not exist"), True),
        (DataError("x"), True),
        (DatabaseError("x"), False),
        (ValueError("invalid literal for int()"), True),
    ],
)
def test_other_drivers_by_class_code_or_text(error: Exception, expected: bool) -> None:
    assert is_of_statement(error) == expected
