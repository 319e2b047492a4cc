"""Transactions that read before they write, on SQLite as well.

SQLite refuses the first write of a transaction that has read at once ("database is locked", whatever the `timeout`) if
another process is writing; a transaction that begins with a write waits for it. There are no locks of rows either: who
has the database's lock has read what no other changes meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def atomic_write(model: type[models.Model], using: str) -> Iterator[None]:
    """`transaction.atomic`, for a transaction that reads before it writes to the model's database."""
    with transaction.atomic(using=using):
        take_write_lock(connections[using], model)
        yield


def take_write_lock(connection: BaseDatabaseWrapper, model: type[models.Model]) -> None:
    """Wait, as long as the connection's `timeout` says, for who else writes; called first in a transaction.

    Raises:
        DatabaseError: the model's table is missing, or the other one does not end.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)} WHERE 0")
