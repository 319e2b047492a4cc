"""Keeps the results of sweeps, beside whoever asked for them: a database that hangs or is gone holds nobody up."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, Error, IntegrityError, router, transaction

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.history.buffer import Buffer, PendingRow
from django_lifesigns.history.deduplicator import NOT_RUN, REPEATED, Deduplicator, is_of_a_run
from lifesigns import Engine, Job

if TYPE_CHECKING:
    from django_lifesigns.models import HealthCheckLog

logger = logging.getLogger("django_lifesigns")

BATCH = 1_000
WRITE_SECONDS = 10.0
# How soon after an attempt that failed the next one comes, at the earliest, unless there is something new.
RETRY_SECONDS = 5.0

# A row that no database takes, whenever it is tried.
UNFIT = (DataError, IntegrityError, ValueError, TypeError)


def record(
    report: Mapping[str, Any],
    engine: Engine | None = None,
    *,
    log: bool = True,
    availability: bool = True,
    wait: float = 0.0,
) -> bool:
    """Keeps the results of a report of `engine`, each run's once: in the log, in the availability, or in both.

    With an engine once for all processes that share its results.

    Returns at once, or within `wait` seconds: whether all is written by then. Fails for no database: what cannot be
    written waits.
    """
    recorder = _recorder()
    recorder.add(report, engine, log=log, availability=availability)
    return recorder.write(wait)


def flush(wait: float) -> bool:
    """Writes what waits, within `wait` seconds; whether nothing waits any more."""
    recorder = _current.get("recorder")
    return recorder is None or recorder.write(wait)


def waiting() -> int:
    """How many results are not written yet."""
    recorder = _current.get("recorder")
    return len(recorder.buffer) if recorder else 0


def flush_soon() -> None:
    """Begins to write what waits, if anything does and the last attempt is some time ago; waits for nothing itself."""
    if recorder := _current.get("recorder"):
        recorder.try_again()


class Recorder:
    """The results of this process that are not in the database yet."""

    def __init__(self) -> None:
        self.buffer = Buffer()
        self._fresh = Deduplicator()
        self._failing = False
        self._job = Job(returning_connections(self._write), timeout=WRITE_SECONDS)
        self._retry_at = 0.0

    def add(self, report: Mapping[str, Any], engine: Engine | None = None, *, log: bool, availability: bool) -> None:
        """Buffers what is new in a report, and logs what of it is not healthy."""
        from django_lifesigns.models import HealthCheckLog

        correlation_id = report.get("correlation_id")
        for name, result in report["checks"].items():
            if is_of_a_run(result):
                row = HealthCheckLog.of(name, _without_nul(result), correlation_id)
                if self._is_new(row, result.get("error_type"), engine):
                    _tell(row)
                    self.buffer.put([PendingRow(row, log, availability)])

    def _is_new(self, row: HealthCheckLog, error_type: str | None, engine: Engine | None) -> bool:
        """Whether no sweep of this process has brought this result before, and none of those that share with it."""
        if not self._fresh.add(row.check_name, row.checked_at, error_type):
            return False
        gap = REPEATED.total_seconds() if error_type in NOT_RUN else 0.0
        return engine is None or engine.claim_record(row.check_name, row.checked_at.timestamp(), gap=gap)

    def write(self, wait: float) -> bool:
        """Begins to write what waits, and looks on for so many seconds; whether all is written."""
        end = time.monotonic() + wait
        while self.buffer:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            try:
                self._job.run(refresh=True, deadline=max(0.0, end - time.monotonic()))
            except Exception:  # noqa: BLE001  # whatever the database raises, which is logged where it is written
                return False
        return True

    def try_again(self) -> None:
        """Begins to write, unless an attempt failed a moment ago."""
        if time.monotonic() >= self._retry_at:
            self.write(0)

    def _write(self) -> None:
        while batch := self.buffer.take(BATCH):
            try:
                self._save(batch)
            finally:
                self.buffer.requeue(batch)

    def _save(self, batch: Any) -> None:
        """Saves rows and takes them out of the batch."""
        extra = {"correlation_id": batch[-1].row.correlation_id}
        try:
            self._save_what_fits(batch)
        except (Error, ImproperlyConfigured) as error:
            if not self._failing:
                self._failing = True
                name = type(error).__name__
                logger.warning("history: cannot be written (%s), %d results wait", name, len(self.buffer), extra=extra)
            raise
        if self._failing:
            self._failing = False
            logger.info("history: written again", extra=extra)

    def _save_what_fits(self, batch: Any) -> None:
        try:
            _insert(batch)
            batch.clear()
        except UNFIT:
            # One by one, so that the unfit one does not keep the others waiting for ever.
            while batch:
                try:
                    _insert([batch[0]])
                except UNFIT as error:
                    row = batch[0].row
                    logger.error(
                        "history: a result of %s cannot be kept (%s)",
                        row.check_name,
                        type(error).__name__,
                        extra={"correlation_id": row.correlation_id, "check_name": row.check_name},
                    )
                batch.popleft()


def _insert(batch: Collection[PendingRow]) -> None:
    """All or nothing, in four queries: begin, insert, count, commit."""
    from django_lifesigns.models import HealthCheckLog, ServiceAvailability

    logged = [one.row for one in batch if one.log]
    counted = [one.row for one in batch if one.availability]
    for row in logged:
        row.pk = None  # set by an attempt that was rolled back
    using = router.db_for_write(HealthCheckLog)
    with transaction.atomic(using=using):
        HealthCheckLog.objects.using(using).bulk_create(logged)
        ServiceAvailability.objects.record(((row.check_name, row.status, row.checked_at) for row in counted), using)


def _tell(row: HealthCheckLog) -> None:
    if row.status != "healthy":
        level = logging.WARNING if row.status == "error" else logging.INFO
        extra = {
            "correlation_id": row.correlation_id,
            "check_name": row.check_name,
            "status": row.status,
            "duration_ms": row.duration_ms,
        }
        # A message of several lines must not look like lines of the log.
        logger.log(level, "%s is %s: %s", row.check_name, row.status, " ".join(row.message.split()), extra=extra)


def _without_nul(value: Any) -> Any:
    """PostgreSQL's text knows no NUL character."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return [_without_nul(item) for item in value] if isinstance(value, list) else value


def _recorder() -> Recorder:
    if "recorder" not in _current:
        _current.setdefault("recorder", Recorder())
    return _current["recorder"]


_current: dict[str, Recorder] = {}

if hasattr(os, "register_at_fork"):
    # What waits in the parent is the parent's to write; and a lock may have been held.
    os.register_at_fork(after_in_child=_current.clear)
