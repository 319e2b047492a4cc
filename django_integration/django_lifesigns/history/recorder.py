"""Records the results of sweeps, beside the caller: a database that hangs or is gone delays no caller."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from django_lifesigns.checks.kept_connections import close_kept
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.history import isolated
from django_lifesigns.history.at_exit import before_exit
from django_lifesigns.history.buffer import PendingRow
from django_lifesigns.history.rows import row_of
from django_lifesigns.history.write_behind import Recorder, log_failure
from lifesigns import Engine

logger = logging.getLogger("django_lifesigns")

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
        found = [row_of(name, result, report.get("correlation_id")) for name, result in report["checks"].items()]
        rows = [row for row, _ in filter(None, found)]
        written = isolated.write([PendingRow(row, log, availability) for row in rows])
        for row in rows if log_failures else ():
            log_failure(row)
        return written
    recorder = _recorder()
    recorder.add(report, engine, log=log, availability=availability, log_failures=log_failures)
    if engine is not None:
        # Their results must not be behind those of many reports.
        recorder.add_found(engine, read=False)
        recorder.rollups.sample(engine)
    return recorder.write(wait)


def record_found(engine: Engine) -> None:
    """Record what an engine has gathered, and what else is known of its checks, each once. Waits for nothing."""
    recorder = _recorder()
    recorder.add_found(engine, read=True)
    recorder.rollups.sample(engine)
    recorder.write(0)


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
    """Start to write what waits, if the last attempt is some time ago; does not wait itself."""
    if recorder := _current.get("recorder"):
        recorder.try_again()


def record_at_exit(source: Callable[[], object]) -> None:
    """Call `source`, which records what is known by then, when this process ends, before the last write."""
    _sources.append(source)
    before_exit(_flush_at_exit)


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
    if flush(EXIT_SECONDS):
        close_kept()
    elif not _recorder().is_read_only:
        logger.warning("history: %d results are not written, and this process ends", waiting())


_sources: list[Callable[[], object]] = []
_current: dict[str, Recorder] = {}


def _forget() -> None:
    # What waits in the parent is the parent's to write; and a lock may have been held.
    _current.clear()
    _sources.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
