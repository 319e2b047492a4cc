"""A clock that stands still in what engines show, for tests that compare whole reports."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from lifesigns.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("run", "check", "arun", "acheck")
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class FrozenClock:
    """The time that reports and results show while it is frozen.

    Results show when they were found by this clock, no duration, and the age that `advance` gives them; one as old as
    its ttl is found anew. The clock of the native engine continues: timeouts, and the waits of circuit breakers, are as
    long as ever.
    """

    _real: ClassVar[dict[str, Any]] = {}

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._start = now
        self._found: weakref.WeakKeyDictionary[Engine, dict[str, datetime]] = weakref.WeakKeyDictionary()
        # The status of each check, and since when it has it; when its last error was found.
        self._statuses: weakref.WeakKeyDictionary[Engine, dict[str, tuple[str, datetime]]] = weakref.WeakKeyDictionary()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    @classmethod
    def thaw(cls) -> None:
        """Show the real time again."""
        for name, method in cls._real.items():
            setattr(Engine, name, method)
        cls._real = {}

    def freeze(self) -> None:
        """Show this time from now on, in every engine of the process."""
        self.thaw()
        type(self)._real = {name: getattr(Engine, name) for name in NAMES}
        run, check, arun, acheck = self._real.values()

        def frozen_run(engine: Engine, names: Any = None, **options: Any) -> Any:
            for name in self._expired(engine, names, options.get("group")):
                check(engine, name, refresh=True)
            return self._of_report(engine, run(engine, names, **options))

        def frozen_check(engine: Engine, name: str, **options: Any) -> Any:
            options["refresh"] = options.get("refresh", False) or bool(self._expired(engine, [name]))
            return self._of_result(engine, name, check(engine, name, **options))

        async def frozen_arun(engine: Engine, names: Any = None, **options: Any) -> Any:
            for name in self._expired(engine, names, options.get("group")):
                await acheck(engine, name, refresh=True)
            return self._of_report(engine, await arun(engine, names, **options))

        async def frozen_acheck(engine: Engine, name: str, **options: Any) -> Any:
            options["refresh"] = options.get("refresh", False) or bool(self._expired(engine, [name]))
            return self._of_result(engine, name, await acheck(engine, name, **options))

        for name, method in zip(NAMES, (frozen_run, frozen_check, frozen_arun, frozen_acheck), strict=True):
            setattr(Engine, name, method)

    def _expired(self, engine: Engine, names: Any, group: str | None = None) -> list[str]:
        found = self._found.setdefault(engine, {})
        selected = names if names is not None else engine.names if group is None else engine.names_of(group)
        expired = [name for name in selected if name in found and self._age(found[name]) >= engine._ttls[name]]
        for name in expired:
            del found[name]
        return expired

    def _age(self, found: datetime) -> float:
        return (self.now - found).total_seconds()

    def _of_report(self, engine: Engine, report: Any) -> Any:
        for name, result in report["checks"].items():
            self._of_result(engine, name, result)
        report["timestamp"] = self.now.isoformat()
        report["uptime_seconds"] = self._age(self._start)
        return report

    def _of_result(self, engine: Engine, name: str, result: Any) -> Any:
        found = self._found.setdefault(engine, {})
        if not result["cached"] or name not in found:
            found[name] = self.now
        result["timestamp"] = found[name].isoformat()
        statuses = self._statuses.setdefault(engine, {})
        if statuses.get(name, ("", self.now))[0] != result["status"]:
            statuses[name] = (result["status"], found[name])
        if result["status"] == "error":
            statuses[f"{name} error"] = ("error", found[name])
        if "last_error" in result:
            result["last_error"]["timestamp"] = statuses.get(f"{name} error", ("", self.now))[1].isoformat()
        if "since" in result:
            result["since"] = statuses[name][1].isoformat()
        if "duration_ms" in result:
            result["duration_ms"] = 0.0
        age = self._age(found[name])
        result["cached"] = age > 0
        if age > 0:
            result["age_seconds"] = age
        else:
            result.pop("age_seconds", None)
        return result


@contextmanager
def frozen_clock(now: datetime = START) -> Iterator[FrozenClock]:
    """Freeze the time that reports and results show, within a ``with`` block."""
    clock = FrozenClock(now)
    clock.freeze()
    try:
        yield clock
    finally:
        clock.thaw()
