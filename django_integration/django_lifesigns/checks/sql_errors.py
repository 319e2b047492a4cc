"""Which errors of a database say that a statement is wrong, and not that a right is missing or time has run out."""

from __future__ import annotations

from django.db import DataError, NotSupportedError, OperationalError, ProgrammingError

# The beginning of SQLSTATEs: not supported, cardinality, data, syntax or names.
CLASSES = ("0A", "21", "22", "42")
MISSING_RIGHT = "42501"
# MySQL's and MariaDB's codes that their drivers have as operational errors: ambiguous and unknown columns, a number of
# columns, an unknown function.
MYSQL = frozenset([1052, 1054, 1241, 1305])
# What SQLite says, which has one kind of error for all.
SQLITE = (
    "ambiguous column",
    "incomplete input",
    "misuse of",
    "near ",
    "no such ",
    "unrecognized token",
    "wrong number of",
)


def is_of_statement(error: Exception) -> bool:
    """Return whether the statement is at fault, for every user and at any time; also where it selects no number."""
    if isinstance(error, (TypeError, ValueError, ArithmeticError)):
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(CLASSES) and state != MISSING_RIGHT
    if isinstance(error, OperationalError):
        code = error.args[0] if error.args else None
        return code in MYSQL or (isinstance(code, str) and code.startswith(SQLITE))
    return isinstance(error, (DataError, NotSupportedError, ProgrammingError))
