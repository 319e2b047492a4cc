"""Writes results behind their callers: buffered, in batches, each once for all processes that share."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from django_lifesigns.checks.kept_connections import keeping_connections
from django_lifesigns.checks.read_only import is_read_only
from django_lifesigns.history.buffer import Buffer, PendingRow
from django_lifesigns.history.deduplicator import Deduplicator
from django_lifesigns.history.log_every import KeptRows
from django_lifesigns.history.objectives.current import publish
from django_lifesigns.history.rollups.writer import RollupWriter
from django_lifesigns.history.rows import rows_of
from django_lifesigns.history.saving import save
from lifesigns import Engine, Job

if TYPE_CHECKING:
    from django_lifesigns.models import HealthCheckLog

logger = logging.getLogger("django_lifesigns")

BATCH = 1_000
WRITE_SECONDS = 10.0
# How soon after an attempt that failed the next one comes, at the earliest, unless there is something new.
RETRY_SECONDS = 5.0
# What has waited for longer was to be written by now.
TRY_AGAIN_SECONDS = 15.0


class Recorder:
    """The results of this process that are not in the database yet."""

    def __init__(self) -> None:
        self.buffer = Buffer()
        self.rollups = RollupWriter()
        self._known = Deduplicator()
        self._kept = KeptRows()
        self._failing = False
        # A standby takes none of it while it is one: that is said once, also at the end of this process.
        self.is_read_only = False
        self._job = Job(keeping_connections(self._write), timeout=WRITE_SECONDS)
        self._retry_at = 0.0
        # Since when something waits to be written.
        self._waiting_since = 0.0

    def add(
        self,
        report: Mapping[str, Any],
        engine: Engine | None = None,
        *,
        log: bool,
        availability: bool,
        log_failures: bool = True,
    ) -> None:
        """Buffer what is new in a report, and log what of it is not healthy."""
        if not self.buffer:
            self._waiting_since = time.monotonic()
        for row, is_hidden in rows_of(report, self._known.latest):
            if self._is_new(row, engine, is_hidden):
                if log_failures:
                    log_failure(row)
                is_kept = log and self._kept.add(row, report["checks"][row.check_name], engine)
                self.buffer.put([PendingRow(row, is_kept, availability)])

    def _is_new(self, row: HealthCheckLog, engine: Engine | None, is_hidden: bool) -> bool:
        """Return whether no sweep of this process has brought this result before, and none of those that share."""
        if not self._known.add(row.check_name, row.checked_at, only_newer=is_hidden):
            return False
        return engine is None or engine.claim_record(row.check_name, row.checked_at.timestamp())

    def is_due(self, delay: float) -> bool:
        """Return whether it is time to write: something has waited for so many seconds, or it is much."""
        has_waited = time.monotonic() - self._waiting_since >= delay
        return has_waited or self.rollups.is_pending or len(self.buffer) >= BATCH

    def write(self, wait: float) -> bool:
        """Start to write what waits, and wait for so many seconds; return whether all is written."""
        end = time.monotonic() + wait
        while self.buffer or self.rollups.is_pending:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            try:
                self._job.run(refresh=True, deadline=max(0.0, end - time.monotonic()))
            except Exception:  # noqa: BLE001  # whatever the database raises, which is logged where it is written
                return False
        return True

    def try_again(self) -> None:
        """Start to write what has waited for a while, unless an attempt failed a moment ago."""
        if time.monotonic() >= self._retry_at and (self._failing or self.is_due(TRY_AGAIN_SECONDS)):
            self.write(0)

    def _write(self) -> None:
        while (batch := self.buffer.take(BATCH)) or self.rollups.is_pending:
            try:
                self._save(batch)
            finally:
                self.buffer.requeue(batch)
            # In the loop: what is added meanwhile finds no run that would end without it.
            if self.rollups.has_rolled and (engine := self.rollups.engine):
                self.rollups.has_rolled = False
                publish(engine)

    def _save(self, batch: Any) -> None:
        """Save rows and take them out of the batch."""
        extra = {"correlation_id": batch[-1].row.correlation_id if batch else None}
        try:
            save(batch, self.rollups)
        except (Error, ImproperlyConfigured) as error:
            self.is_read_only = is_read_only(error)
            if not self._failing:
                self._failing = True
                reason = "the database is read-only" if self.is_read_only else type(error).__name__
                count = len(self.buffer)
                logger.warning("history: cannot be written (%s), %d results wait", reason, count, extra=extra)
            raise
        if self._failing:
            self._failing = self.is_read_only = False
            logger.info("history: written again", extra=extra)


def log_failure(row: HealthCheckLog) -> None:
    """Log a result that is not healthy."""
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
