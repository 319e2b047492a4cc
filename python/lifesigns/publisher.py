"""Publishes the events of an engine to its subscribers and to the log."""

from __future__ import annotations

import weakref
from functools import partial

from lifesigns import _core, callables
from lifesigns.weak import weakly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lifesigns.events import Event


class Publisher:
    """Fetches the events of an engine, after a run or from a thread of the engine's own."""

    def __init__(self, native: _core.Engine, log: bool) -> None:
        self._native = native
        self._log = log
        self.subscribers: list[Callable[[Event], object]] = []
        # The number of the callable that publishes in the background, once there is one.
        self.ids: dict[str, int] = {}

    def publish(self, sweep: _core.Sweep | None) -> None:
        """Publish what has happened, which `sweep` may have found."""
        if taken := self._native.take_events():
            from lifesigns.events import log, publish

            events, diagnostics = taken
            publish(events, tuple(self.subscribers), sweep and sweep.correlation_id, logs=self._log)
            log(diagnostics)

    def start(self) -> bool:
        """Make the callable with which the engine publishes by itself; False if there is one."""
        if self.ids:
            return False
        publisher = _core.new_callable_id()
        callables.remember(publisher, partial(weakly(self.publish), None), "")
        self.ids["publisher"] = publisher
        weakref.finalize(self, callables.forget, [publisher]).atexit = False
        return True
