"""Records the results of sweeps, beside the caller: a database that hangs or is gone delays no caller."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.read_only import is_read_only
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.history import isolated
from django_lifesigns.history.at_exit import before_exit
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
# How long the end of the process waits for what is not written yet.
EXIT_SECONDS = 2.0


def record(
    report: Mapping[str, Any],
    engine: Engine | None = None,
    *,
    log: bool = True,
    availability: bool = True,
    wait: float = 0.0,
    log_failures: bool = True,
) -> bool:
    """Record the results of a report of `engine`, each run's once: in the log, in the availability, or in both.

    With an engine once for all processes that share its results. Returns at once, or within `wait` seconds: whether
    all is written by then. Raises nothing about a database: what cannot be written waits.

    In a test run of Django's it writes with the connection of its caller, in the transaction of the test.

    Args:
        log_failures: log a line for each new result that is not healthy.
    """
    if is_under_test():
        rows = [row for row, _ in rows_of(report)]
        written = isolated.write([PendingRow(row, log, availability) for row in rows])
        for row in rows if log_failures else ():
            _log_failure(row)
        return written
    recorder = _recorder()
    recorder.add(report, engine, log=log, availability=availability, log_failures=log_failures)
    if engine is not None:
        recorder.rollups.sample(engine)
    return recorder.write(wait)


def sample(engine: Engine) -> None:
    """Note what an engine has counted by now, for the process whose turn it is next to roll that up."""
    if not is_under_test():
        _recorder().rollups.sample(engine, take_turn=False)


def flush(wait: float) -> bool:
    """Write what waits, within `wait` seconds; return whether nothing waits any more."""
    recorder = _current.get("recorder")
    return recorder is None or recorder.write(wait)


def waiting() -> int:
    """Return how many results are not written yet."""
    recorder = _current.get("recorder")
    return len(recorder.buffer) if recorder else 0


def flush_soon() -> None:
    """Start to write what waits, if anything does and the last attempt is some time ago; does not wait itself."""
    if recorder := _current.get("recorder"):
        recorder.try_again()


def record_at_exit(source: Callable[[], object]) -> None:
    """Call `source`, which records what is known by then, when this process ends, before the last write."""
    _sources.append(source)
    before_exit(_flush_at_exit)


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
        self._job = Job(returning_connections(self._write), timeout=WRITE_SECONDS)
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
        for row, is_hidden in rows_of(report):
            if self._is_new(row, engine, is_hidden):
                if log_failures:
                    _log_failure(row)
                is_kept = log and self._kept.add(row, report["checks"][row.check_name], engine)
                self.buffer.put([PendingRow(row, is_kept, availability)])

    def _is_new(self, row: HealthCheckLog, engine: Engine | None, is_hidden: bool) -> bool:
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
        """Start to write, unless an attempt failed a moment ago."""
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


def _log_failure(row: HealthCheckLog) -> None:
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


def _recorder() -> Recorder:
    if "recorder" not in _current:
        _current.setdefault("recorder", Recorder())
        before_exit(_flush_at_exit)
    return _current["recorder"]


def _flush_at_exit() -> None:
    for source in _sources:
        source()
    if recorder := _current.get("recorder"):
        recorder.rollups.finish()
    if not flush(EXIT_SECONDS) and not _recorder().is_read_only:
        logger.warning("history: %d results are not written, and this process ends", waiting())


_sources: list[Callable[[], object]] = []
_current: dict[str, Recorder] = {}


def _forget() -> None:
    # What waits in the parent is the parent's to write; and a lock may have been held.
    _current.clear()
    _sources.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
