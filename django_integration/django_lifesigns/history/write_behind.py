"""Writes results behind their callers: buffered, in batches, each once for all processes that share."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from django_lifesigns.checks.kept_connections import keeping_connections
from django_lifesigns.checks.read_only import is_read_only
from django_lifesigns.history.buffer import Buffer, PendingRow
from django_lifesigns.history.deduplicator import Deduplicator
from django_lifesigns.history.log_every import KeptRows
from django_lifesigns.history.log_row import LogRow
from django_lifesigns.history.objectives.current import publish
from django_lifesigns.history.rollups.writer import RollupWriter
from django_lifesigns.history.rows import row_of
from django_lifesigns.history.saving import save
from lifesigns import Engine, Job

logger = logging.getLogger("django_lifesigns")

BATCH = 1_000
WRITE_SECONDS = 10.0
# How soon after an attempt that failed the next one comes, at the earliest, unless there is something new.
RETRY_SECONDS = 5.0


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
        pending = []
        for name, result in report["checks"].items():
            found = row_of(name, result, report.get("correlation_id"))
            if found and self._is_new(row := found[0], engine, is_hidden=found[1]):
                if log_failures:
                    log_failure(row)
                pending.append(PendingRow(row, log and self._kept.add(row, result, engine), availability))
        self.buffer.put(pending)

    def add_found(self, engine: Engine, *, read: bool) -> None:
        """Buffer what the engine has gathered; with `read` also what else is known of its checks and new."""
        pending, correlation_id = [], str(uuid4())
        for name, result, is_claimed in engine.take_results(read=read):
            if found := row_of(name, result, correlation_id):
                row = found[0]
                # A report that another thread adds may have it, too, unless it is this thread's alone.
                if self._known.add(name, row.checked_at) or is_claimed:
                    pending.append(PendingRow(row, self._kept.add(row, result, engine), True))
        self.buffer.put(pending)

    def _is_new(self, row: LogRow, engine: Engine | None, *, is_hidden: bool) -> bool:
        """Return whether no sweep of this process has brought this result before, and none of those that share."""
        if not self._known.add(row.check_name, row.checked_at, only_newer=is_hidden):
            return False
        return engine is None or engine.claim_record(row.check_name, row.checked_at.timestamp())

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
        """Start to write what waits, unless an attempt started a moment ago."""
        if time.monotonic() >= self._retry_at:
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


def log_failure(row: LogRow) -> None:
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
