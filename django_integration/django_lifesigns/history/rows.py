"""From the results of a report to rows, and from rows to the databases that the routers name."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError, connections, router, transaction
from django.utils.dateparse import parse_datetime

from django_lifesigns.checks.timezones import kept
from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.log_row import LogRow, of_result
from django_lifesigns.history.statements import Values, insert_into

if TYPE_CHECKING:
    from django_lifesigns.history.buffer import PendingRow

logger = logging.getLogger("django_lifesigns")

RECORDED = frozenset(["healthy", "degraded", "error"])
# Errors that no run has found: they are derived for each answer, and are no history.
NOT_RUN = frozenset(["CircuitOpenError", "DependencyError", "NotStartedError", "StillRunningError", "WithdrawnError"])

COLUMNS = ("check_name", "status", "message", "details", "duration_ms", "checked_at", "correlation_id")
# As JSON has it.
NUL = r"\u0000"

# A row that no database takes, whenever it is tried.
UNFIT = (DataError, IntegrityError, ValueError, TypeError)


def row_of(name: str, result: Mapping[str, Any], correlation_id: str | None) -> tuple[LogRow, bool] | None:
    """Return the row of a result, if a run has found it, and whether that run is hidden behind a later answer.

    Where the circuit breaker is open, or the check still runs, a report has the last error beside that answer: the
    run that opened the circuit would be in no history otherwise. How long it took is not known any more.
    """
    # What another host has found is recorded there.
    if result["status"] not in RECORDED or result.get("pending") or "found_by" in result:
        return None
    is_hidden = result.get("error_type") in NOT_RUN
    found = result.get("last_error") if is_hidden else result
    at = parse_datetime(str(found.get("timestamp"))) if found else None
    if found is None or at is None:
        return None
    return LogRow(name, **of_result(found), checked_at=kept(at), correlation_id=correlation_id), is_hidden


def insert_what_fits(batch: deque[PendingRow]) -> None:
    """Write rows and take them out of the batch; one that no database takes is logged, and does not hold up others."""
    try:
        insert(batch)
        batch.clear()
    except UNFIT:
        while batch:
            try:
                insert(deque([batch[0]]))
            except UNFIT as error:
                row = batch[0].row
                extra = {"correlation_id": row.correlation_id, "check_name": row.check_name}
                error_type = type(error).__name__
                logger.error("history: a result of %s cannot be kept (%s)", row.check_name, error_type, extra=extra)
            batch.popleft()


def insert(batch: deque[PendingRow]) -> None:
    """Write rows, in four queries where one database has both tables: begin, insert, count, commit.

    All or nothing in each database. What one database has taken is marked as done, should the other one refuse.
    """
    from django_lifesigns.models import HealthCheckLog, ServiceAvailability

    logs_to, counts_to = router.db_for_write(HealthCheckLog), router.db_for_write(ServiceAvailability)
    if logs_to == counts_to:
        with transaction.atomic(using=logs_to, savepoint=False):
            _insert_logs(batch, logs_to)
            _count(batch, counts_to)
        return
    with transaction.atomic(using=logs_to):
        _insert_logs(batch, logs_to)
    for pending in batch:
        pending.log = False
    with transaction.atomic(using=counts_to):
        _count(batch, counts_to)


def _insert_logs(batch: Collection[PendingRow], using: str) -> None:
    from django_lifesigns.models import HealthCheckLog

    connection: Any = connections[using]
    meta: Any = HealthCheckLog._meta
    at, uuid = meta.get_field("checked_at"), meta.get_field("correlation_id")
    values = Values()
    rows = [
        values.row(
            without_nul(row.check_name),
            row.status,
            without_nul(row.message),
            _json(row.details),
            float(row.duration_ms),
            at.get_db_prep_save(row.checked_at, connection),
            uuid.get_db_prep_save(row.correlation_id, connection),
        )
        for row in (pending.row for pending in batch if pending.log)
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(insert_into(connection, meta.db_table, COLUMNS, rows), values.parameters)


def _json(details: Mapping[str, Any]) -> str:
    text = to_json(details)
    return to_json(without_nul(details)) if NUL in text else text


def _count(batch: Collection[PendingRow], using: str) -> None:
    from django_lifesigns.models import ServiceAvailability

    rows = [pending.row for pending in batch if pending.availability]
    ServiceAvailability.objects.record(((row.check_name, row.status, row.checked_at) for row in rows), using)


def without_nul(value: Any) -> Any:
    """Return the value as PostgreSQL takes it, whose text knows no NUL character."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, Mapping):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    return [without_nul(item) for item in value] if isinstance(value, list) else value
