"""Saves results and roll-ups: in one transaction where one database has all, and apart where that fails."""

from __future__ import annotations

from collections import deque

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, OperationalError, connections, router, transaction

from django_lifesigns.checks.write_locks import atomic_write, take_write_lock
from django_lifesigns.history import rows
from django_lifesigns.history.buffer import PendingRow
from django_lifesigns.history.rollups.writer import RollupWriter

# Whatever keeps the transaction of both from being committed.
NOT_SAVED = (DatabaseError, InterfaceError, ImproperlyConfigured, *rows.UNFIT)


def save(batch: deque[PendingRow], rollups: RollupWriter) -> None:
    """Write rows, take them out of the batch, and roll up if it is time: in at most six queries.

    Raises what the database raises about the rows. Roll-ups that cannot be written wait, and hold no result up.
    """
    if not rollups.is_pending:
        rows.insert_what_fits(batch)
        return
    from django_lifesigns.models import HealthCheckLog, Rollup, ServiceAvailability

    using = router.db_for_write(Rollup)
    if {router.db_for_write(HealthCheckLog), router.db_for_write(ServiceAvailability)} == {using}:
        try:
            with transaction.atomic(using=using):
                if batch:
                    rows.insert(batch)
                else:
                    take_write_lock(connections[using], Rollup)
                samples = rollups.write(using)
        except NOT_SAVED as error:
            if _is_gone(error, using):
                rollups.failed(error, is_said=False)
                raise
        else:
            batch.clear()
            rollups.done(samples)
            return
    rows.insert_what_fits(batch)
    try:
        with atomic_write(Rollup, using):
            samples = rollups.write(using)
    except NOT_SAVED as error:
        rollups.failed(error, is_said=True)
    else:
        rollups.done(samples)


def _is_gone(error: Exception, using: str) -> bool:
    """Return whether the database does not answer: SQLite, which always does, says so of a missing table, too."""
    return isinstance(error, (OperationalError, InterfaceError)) and connections[using].vendor != "sqlite"
