"""Lets the thresholds saved in the admin govern this process's checks, through the engine's own rules."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from typing import Any, cast

from django.db import DatabaseError, router

from django_lifesigns.checks.connections import has_database, runnable
from django_lifesigns.checks.kept_connections import keeping_connections
from django_lifesigns.checks.kinds import Check, is_record
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.history import isolated
from django_lifesigns.runtime.guard import guarded
from django_lifesigns.runtime.saved_thresholds import Saved, is_missing, read_saved
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import Engine
from lifesigns.specs import Thresholds
from lifesigns.weak import weakly

logger = logging.getLogger("django_lifesigns")

# By metric, the check that it governs.
CHECKS = {target.metric: key for key, target in CATALOGUE.items() if target.metric}

# They are read again when a check is requested and the last reading is this old, beside the request.
EVERY_SECONDS = 7.0
# So much later by another process than the one that has read them last, which has the connection.
TAKEN_OVER_SECONDS = 10.0
# The next one after this long is waited for, though not for long: what was saved 30 s ago has to govern.
AT_LATEST_SECONDS = 25.0
READ_SECONDS = 5.0
# Where the table was missing, which `migrate` may make at any time.
MISSING_SECONDS = 3.0
LOOK_SECONDS = 1.0
# The same where the processes follow by themselves, and one of them reads for all.
FOLLOW_SECONDS = 15.0
NAME = "thresholds"


def _read() -> dict[str, object]:
    try:
        saved, wrong = read_saved()
    except DatabaseError as error:
        if not is_missing():
            raise
        return {"status": "degraded", "details": {"missing": type(error).__name__}}
    return {"status": "healthy", "details": {"saved": saved, "wrong": wrong}}


def _is_outdated(result: Mapping[str, Any]) -> bool:
    """Return whether the table was missing at an earlier reading."""
    return bool(result.get("cached") and result.get("details", {}).get("missing"))


def _has_table() -> bool:
    """Return whether there is a database to have a table."""
    from django_lifesigns.models import AlertThreshold

    return has_database(router.db_for_read(AlertThreshold))


class ThresholdSync:
    """Reads what is saved, on a thread of an engine, and passes what has changed to the engine of the checks.

    `checks` and `names`, those in the report, are by the names in the settings. Processes that share by `scope` read
    once for all of them.
    """

    def __init__(self, engine: Engine, checks: Mapping[str, Check], names: Mapping[str, str], **scope: Any) -> None:
        self._engine = engine
        self._checks = checks
        self._names = names
        self._governing: Saved = {}
        self._wrong: frozenset[str] = frozenset()
        self._failing = False
        self._is_pending = False
        self._is_refreshing = False
        self._next_look = 0.0
        self._next_refresh = 0.0
        # A callable of an engine has a deadline, one thread at most, and survives a fork. No `Job`, whose values stay
        # in one process: of those that share one reads for all.
        ttl = EVERY_SECONDS + TAKEN_OVER_SECONDS
        self._reader = Engine(READ_SECONDS, ttl, max_stale=AT_LATEST_SECONDS, log=False, **scope)
        self._reader.register(NAME, keeping_connections(weakly(self._read)), identity=f"{__name__}.{NAME}")
        self._read_at = float("-inf")
        self._limit({})

    def sync(self, max_wait: float) -> None:
        """Start to read if that is due; wait for it, at most `max_wait` seconds, only if the last reading is too old.

        In a test run of Django's it reads with the connection of its caller, in the transaction of the test.
        """
        if time.monotonic() >= self._next_look or is_under_test():
            self._look(max_wait)

    @guarded("reading the saved thresholds")
    def _look(self, max_wait: float) -> None:
        if is_under_test():
            from django_lifesigns.models import AlertThreshold

            if found := isolated.read(_read, AlertThreshold):
                self._take(found)
            return
        now = time.monotonic()
        self._next_look = now + LOOK_SECONDS
        if not _has_table():
            return
        is_reader = now - self._read_at < AT_LATEST_SECONDS
        result = self._reader.check(NAME, deadline=0, max_age=EVERY_SECONDS if is_reader else None)
        # This process, or another one before this one started, looked before `migrate`.
        refresh = _is_outdated(result) and now >= self._next_refresh
        if refresh:
            self._next_refresh = now + MISSING_SECONDS
        if refresh or result.get("pending"):
            result = self._reader.check(NAME, refresh=refresh, deadline=max_wait)
        self._is_refreshing = refresh and _is_outdated(result)
        self._is_pending = bool(self._is_refreshing or result.get("pending"))
        if not self._is_refreshing:
            self._take(result)

    def _read(self) -> dict[str, object]:
        self._read_at = time.monotonic()
        return _read()

    async def asettle(self, max_wait: float) -> None:
        """Wait, at most `max_wait` seconds, where the last `sync` left a reading that is not over."""
        if self._is_pending:
            self._is_pending = False
            self._take(await self._reader.acheck(NAME, refresh=self._is_refreshing, deadline=max_wait))

    def sync_in_background(self) -> None:
        """Follow from now on though no caller calls `sync`, as where only native probes are requested."""
        if _has_table():
            self._reader.watch_result(NAME, weakly(self._follow))
            self._reader.start_background(critical_max_age=FOLLOW_SECONDS, as_member=False)

    def _follow(self) -> None:
        """Take what this process, or another one, has read."""
        result = self._reader.check(NAME, deadline=0)
        if result.get("pending"):
            raise TimeoutError("read again meanwhile")  # so that the engine calls again
        with guarded("reading the saved thresholds"):
            self._take(result)

    def _take(self, result: Mapping[str, Any]) -> None:
        missing = result.get("details", {}).get("missing")
        if result["status"] != "healthy":
            if not (self._failing or result.get("pending")):
                self._failing = True
                reason = f"{missing}; run migrate?" if missing else result.get("error_type", "")
                logger.warning("thresholds: cannot be read (%s); keeping the current thresholds", reason)
            return
        self._failing = False
        found = result.get("details", {})
        saved, wrong = found.get("saved", {}), frozenset(found.get("wrong", ()))
        for line in sorted(wrong - self._wrong):
            logger.error("thresholds: %s", line)
        self._wrong = wrong
        if saved != self._governing:
            before, self._governing = self._governing, saved
            self._apply(saved, before)

    def _apply(self, saved: Saved, before: Saved) -> None:
        for metric, key in CHECKS.items():
            check, name = self._checks.get(key), self._names.get(key, key)
            levels = saved.get(metric, {})
            if check is not None and has_thresholds(check) and levels != before.get(metric, {}):
                try:
                    self._engine.replace(name, runnable(_governed(check, metric, levels)))
                    logger.info("thresholds: %s is governed by %s", name, dict(levels) or "its settings")
                except ValueError as error:  # a check of the project's own that takes no such number
                    logger.error("thresholds: %s keeps its present ones: %s", name, error)
        self._limit(saved)

    def _limit(self, saved: Saved) -> None:
        """Set what may degrade every check. The error rate does only where one is saved: right after an outage it would
        otherwise keep every check degraded for minutes, with nothing wrong any more."""
        response = judged("response_time", saved.get("response_time", {}))
        rate = judged("error_rate", saved["error_rate"]).degraded_above if "error_rate" in saved else None
        self._engine.limit(response_time=response.degraded_above / 1000, error_rate=rate)


def judged(metric: str, levels: Mapping[str, float], base: Thresholds | None = None) -> Thresholds:
    """Return from where on a metric is degraded and in error: by the levels saved, else by `base`, else by default.

    Where only one level is saved, the other gives way to it.
    """
    from django_lifesigns.models import AlertThreshold

    default = AlertThreshold.DEFAULTS[metric]
    base = base or Thresholds(degraded_above=default["warning"], error_above=default["critical"])
    warning, critical = levels.get("warning"), levels.get("critical")
    if warning is None:
        warning = base.degraded_above if critical is None else min(base.degraded_above, critical)
    if critical is None:
        critical = base.error_above
    return Thresholds(degraded_above=warning, error_above=max(warning, critical))


def has_thresholds(check: Check) -> bool:
    """Return whether it is a native check, or one of ours, that judges a measured value."""
    return is_record(check) and any(field.name == "thresholds" for field in dataclasses.fields(cast("Any", check)))


def _governed(check: Check, metric: str, levels: Mapping[str, float]) -> Check:
    if not levels:
        return check
    record: Any = check
    return cast("Check", dataclasses.replace(record, thresholds=judged(metric, levels, record.thresholds)))
