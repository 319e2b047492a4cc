"""Whether a database refused a statement because it only reads: a hot standby, a replica, a read-only file system."""

from __future__ import annotations

# PostgreSQL: `read_only_sql_transaction`.
SQLSTATE = "25006"
# MySQL and MariaDB: `--read-only`, a transaction that only reads, a server that only reads.
NUMBERS = frozenset([1290, 1792, 1836])
# SQLite names its error by a code only from Python 3.11 on.
TEXT = "readonly database"


def is_read_only(error: BaseException) -> bool:
    """Return whether an error of Django's, with the driver's as its cause, is that of a database that only reads."""
    cause = error.__cause__ or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if isinstance(state, str) and len(state) == len(SQLSTATE):
        return state == SQLSTATE
    first = cause.args[0] if cause.args else None
    return first in NUMBERS if isinstance(first, int) else isinstance(first, str) and TEXT in first
