"""Waiting for a sweep in a greenlet of gevent or eventlet, while its hub runs the other greenlets."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
import weakref

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_tokens = itertools.count(1)
_wakers: weakref.WeakKeyDictionary[Any, tuple[int, HubWaker]] = weakref.WeakKeyDictionary()


class HubWaker:
    """The waker of one hub, and the events that greenlets wait for, by token."""

    def __init__(self, make_event: Callable[[], Any], wait: Callable[[Any, float], object]) -> None:
        self.native = _core.Waker()
        self.watcher: Any = None
        self._make_event = make_event
        self._wait = wait
        self._waiting: dict[int, Any] = {}

    def woken(self, *_: object) -> None:
        """Wake the greenlets whose sweeps have ended; called by the hub once the waker's socket is readable."""
        for token in self.native.drain():
            event = self._waiting.pop(token, None)
            if event is not None:
                _set(event)

    def finish(self, start: Callable[[_core.Waker, int], _core.Sweep], deadline: float | None) -> _core.Sweep:
        """Start a sweep, and wait until it has ended or for `deadline` seconds."""
        token = next(_tokens)
        event = self._waiting[token] = self._make_event()
        started = time.monotonic()
        try:
            sweep = start(self.native, token)
            while not sweep.done:
                waited = time.monotonic() - started
                remaining = sweep.remaining(None if deadline is None else max(0.0, deadline - waited))
                if remaining <= 0 or self._wait(event, remaining):
                    break
        finally:
            self._waiting.pop(token, None)
        return sweep


def waker() -> HubWaker | None:
    """Return the waker of this thread's hub; None where no greenlet would run while this one waits."""
    return _gevent_waker() or _eventlet_waker()


def _gevent_waker() -> HubWaker | None:
    if "gevent" not in sys.modules:
        return None
    from gevent._hub_local import get_hub_if_exists

    hub = get_hub_if_exists()
    if hub is None:
        return None
    import gevent
    from gevent.event import Event

    if gevent.getcurrent() is hub:  # a signal handler or a callback, which must not wait
        return None
    found = _known(hub)
    if found is None:
        found = _remember(hub, HubWaker(Event, lambda event, seconds: event.wait(seconds)))
        found.watcher = hub.loop.io(found.native.fileno(), 1, ref=False)
        found.watcher.start(found.woken)
    return found


def _eventlet_waker() -> HubWaker | None:
    patcher: Any = sys.modules.get("eventlet.patcher")
    # The hub serves the main thread; elsewhere no greenlets wait.
    if patcher is None or not patcher.already_patched or threading.get_native_id() != os.getpid():
        return None
    import eventlet
    from eventlet import hubs
    from eventlet.event import Event

    hub = hubs.get_hub()
    if eventlet.getcurrent() is hub.greenlet:
        return None
    found = _known(hub)
    if found is None:
        found = _remember(hub, HubWaker(Event, lambda event, seconds: event.wait(timeout=seconds)))
        found.watcher = hub.add(hub.READ, found.native.fileno(), found.woken, found.woken, lambda: None)
    return found


def _known(hub: Any) -> HubWaker | None:
    pid, found = _wakers.get(hub, (0, None))
    return found if pid == os.getpid() else None  # a forked child's parent would be woken


def _remember(hub: Any, made: HubWaker) -> HubWaker:
    _wakers[hub] = (os.getpid(), made)
    return made


def _set(event: Any) -> None:
    if hasattr(event, "set"):
        event.set()
    else:
        event.send(True)
