"""Publishes the events of an engine to its subscribers and to the log."""

from __future__ import annotations

import os
import weakref
from _thread import get_ident
from collections import deque
from functools import partial
from time import monotonic

from lifesigns import _core, callables
from lifesigns.weak import weakly

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Any

    from lifesigns.events import Event

# How long a caller waits until what it has led to is published: without a deadline, and at least.
WAIT_SECONDS, LEAST_SECONDS = 1.0, 0.02
# How often a coroutine looks whether it is.
LOOK_SECONDS = 0.001


class Publisher:
    """Fetches the events of an engine, after a run or from a thread of the engine's own.

    Subscribers, and the handlers of the log, may take their time: those of a run are called on a thread of their own.
    """

    def __init__(self, native: _core.Engine, log: bool) -> None:
        self._native = native
        self._log = log
        self.subscribers: list[Callable[[Event], object]] = []
        # The number of the callable that publishes in the background, once there is one.
        self.ids: dict[str, int] = {}
        # By process: a child has a copy of that of its parent, whose thread it has not.
        self._pending: dict[int, _Pending] = {}

    def publish(self) -> None:
        """Publish what has happened, here."""
        if taken := self._native.take_events():
            self._publish(taken, None)

    def publish_after(self, sweep: _core.Sweep | None, deadline: float | None, started: float) -> None:
        """Publish what has happened, which `sweep` may have found; return then, or at its deadline."""
        if done := self._hand_over(sweep):
            done.wait(max(_end(deadline, started) - monotonic(), LEAST_SECONDS))

    async def apublish_after(self, sweep: _core.Sweep | None, deadline: float | None, started: float) -> None:
        """`publish_after` for async code."""
        if done := self._hand_over(sweep):
            import asyncio

            end = max(_end(deadline, started), monotonic() + LEAST_SECONDS)
            while not done.is_set() and monotonic() < end:
                await asyncio.sleep(LOOK_SECONDS)

    def start(self) -> bool:
        """Make the callable with which the engine publishes by itself; False if there is one."""
        if self.ids:
            return False
        publisher = _core.new_callable_id()
        callables.remember(publisher, weakly(self.publish), "")
        self.ids["publisher"] = publisher
        weakref.finalize(self, callables.forget, [publisher]).atexit = False
        return True

    def _hand_over(self, sweep: _core.Sweep | None) -> threading.Event | None:
        """Have a thread publish what has happened; None if that is nothing, or done already."""
        if not (taken := self._native.take_events()):
            return None
        from lifesigns.threads import is_monkey_patched

        publish = partial(self._publish, taken, sweep and sweep.correlation_id)
        if is_monkey_patched():  # its locks are those of greenlets, and its handlers may be, too
            publish()
            return None
        pending = self._pending.setdefault(os.getpid(), _Pending())
        return pending.add(publish)

    def _publish(self, taken: Any, correlation_id: str | None) -> None:
        from lifesigns.events import log, publish

        events, diagnostics = taken
        publish(events, tuple(self.subscribers), correlation_id, logs=self._log)
        log(diagnostics)


class _Pending:
    """What is to be published, in its order, by one thread at a time."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[[], None], threading.Event]] = deque()
        # Its one item is with the thread.
        self._permit = [True]
        self._thread: int | None = None

    def add(self, call: Callable[[], None]) -> threading.Event | None:
        """Have it called; the event is set once it was. None in the thread that calls: a subscriber runs checks."""
        from threading import Event as Done

        done = Done()
        self._calls.append((call, done))
        self._start()
        return None if get_ident() == self._thread else done

    def _start(self) -> None:
        from lifesigns.threads import start_thread

        try:
            self._permit.pop()
        except IndexError:  # the thread that has it looks again before it ends
            return
        try:
            start_thread(self._run)
        except RuntimeError:  # there can be no more threads
            self._run()

    def _run(self) -> None:
        self._thread = get_ident()
        try:
            while self._calls:
                call, done = self._calls.popleft()
                try:
                    call()
                finally:
                    done.set()
        finally:
            self._thread = None
            self._permit.append(True)
        if self._calls:
            self._start()


def _end(deadline: float | None, started: float) -> float:
    return started + (WAIT_SECONDS if deadline is None else deadline)
