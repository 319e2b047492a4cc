"""Whether the service has started: migrations are applied, and the critical checks have passed once on this host."""

from __future__ import annotations

import time
from typing import Any

from django.core.signals import setting_changed

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.migrations import MigrationsApplied
from django_lifesigns.runtime.waiting import Wait
from lifesigns import Engine

NAME = "migrations_applied"
# Reads every migration module of the project.
TIMEOUT = 30.0
# How soon migrations that were missing are looked for again.
TTL = 2.0


class Startup:
    """Both conditions stay fulfilled once they are: what comes later is the business of readiness.

    The critical checks have passed for all processes that share, so that no two workers of a host say different things;
    which migrations there are is known to each process by its own code.
    """

    def __init__(self) -> None:
        # An engine of its own: `/health/` has 22 checks and the project's, and migrations are none of them. No `Job`:
        # the probe server answers `/startup` from this engine's results, also while Python is busy.
        self.engine = Engine(TIMEOUT, TTL, log=False)
        self.engine.register(NAME, returning_connections(MigrationsApplied()))
        self._migrated: dict[str, Any] = {}
        self._passed: dict[str, Any] = {}

    async def check(self, engine: Engine, budget: float, wait: Wait) -> tuple[bool, dict[str, Any]]:
        """Return whether it has started, and the results that say so, within `budget` seconds."""
        started = time.monotonic()
        passed = self._passed
        if not passed:
            report: Any = await wait(engine.run, engine.arun, critical_only=True, deadline=budget)
            passed = dict(report["checks"])
            if report["status"] != "unhealthy":
                self._passed = passed
        has_passed = engine.has_started(bool(self._passed))
        migrated = self._migrated
        if not migrated:
            # The critical checks come first: a database that hangs takes all of the budget there already.
            remaining = max(0.0, budget - (time.monotonic() - started))
            report = await wait(self.engine.run, self.engine.arun, deadline=remaining)
            migrated = dict(report["checks"])
            if report["status"] == "healthy":
                self._migrated = migrated
        return bool(has_passed and self._migrated), {**migrated, **passed}


def get_startup() -> Startup:
    """The one of this process."""
    if "startup" not in _current:
        _current.setdefault("startup", Startup())
    return _current["startup"]


def reset(**_: object) -> None:
    """Start again: the settings have changed, as they do in tests."""
    _current.clear()


setting_changed.connect(reset)

_current: dict[str, Startup] = {}
