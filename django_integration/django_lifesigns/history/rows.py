"""From the results of a report to rows, and from rows to the databases that the routers name."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError, router, transaction
from django.utils.dateparse import parse_datetime

from django_lifesigns.checks.timezones import kept
from django_lifesigns.history.buffer import PendingRow

if TYPE_CHECKING:
    from django_lifesigns.models import HealthCheckLog

logger = logging.getLogger("django_lifesigns")

RECORDED = frozenset(["healthy", "degraded", "error"])
# Errors that no run has found: they are derived for each answer, and are no history.
NOT_RUN = frozenset(["CircuitOpenError", "DependencyError", "NotStartedError", "StillRunningError", "WithdrawnError"])

# A row that no database takes, whenever it is tried.
UNFIT = (DataError, IntegrityError, ValueError, TypeError)


def rows_of(
    report: Mapping[str, Any], latest: Callable[[str], datetime | None] = lambda _name: None
) -> Iterator[tuple[HealthCheckLog, bool]]:
    """Yield a row for the result of each run in a report, and whether that run is hidden behind a later answer.

    Where the circuit breaker is open, or the check still runs, the report has the last error beside that answer: the
    run that opened the circuit would be in no history otherwise. How long it took is not known any more.

    Args:
        latest: returns when the result of a check was found that came last: that one is left out.
    """
    from django_lifesigns.models import HealthCheckLog

    for name, result in report["checks"].items():
        # What another host has found is recorded there.
        if result["status"] not in RECORDED or result.get("pending") or "found_by" in result:
            continue
        is_hidden = result.get("error_type") in NOT_RUN
        found = result.get("last_error") if is_hidden else result
        if found is None:
            continue
        at = parse_datetime(str(found.get("timestamp")))
        if at is None or kept(at) != latest(name):
            ran = without_nul({"status": "error", **found})
            yield HealthCheckLog.of(name, ran, report.get("correlation_id")), is_hidden


def is_shown(result: Mapping[str, Any]) -> bool:
    """Return whether it is the result of a run, and no other answer in its place."""
    return not result.get("pending") and result.get("error_type") not in NOT_RUN


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

    rows = [pending.row for pending in batch if pending.log]
    for row in rows:
        row.pk = None  # set by an attempt that was rolled back
    HealthCheckLog.objects.using(using).bulk_create(rows)


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
