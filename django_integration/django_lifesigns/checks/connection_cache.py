"""What a Python check leaves open for its next run."""

from __future__ import annotations

import atexit
import math
import os
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from django.core.signals import setting_changed

from lifesigns.threads import is_monkey_patched

# As long as the engine keeps its own connections: firewalls drop idle ones after 350 s and more, silently.
IDLE_SECONDS = 300.0

T = TypeVar("T")


class ConnectionCache(Generic[T]):
    """Things that a run takes and gives back. A run that fails, or whose thing is not `reusable`, closes it instead."""

    def __init__(self, close: Callable[[T], object], reusable: Callable[[T], bool] = lambda _: True) -> None:
        self._close = close
        self._reusable = reusable
        # Of every process by itself. A child of a fork leaves alone, and alive, what is its parent's: to close it would
        # end the session that the parent still uses.
        self._things: dict[tuple[int, Hashable], tuple[T, float]] = {}
        setting_changed.connect(self.expire)
        atexit.register(self.close)

    @contextmanager
    def borrow(self, key: Hashable, make: Callable[[], T]) -> Iterator[T]:
        """What the last run gave back, or a new one. No other run has it meanwhile."""
        thing = self._take(key)
        if thing is None:
            thing = make()
        try:
            yield thing
        except BaseException:  # whatever ends the run, the thing is in an unknown state
            self._close(thing)
            raise
        # A socket of gevent or eventlet belongs to the thread that has made it.
        if self._reusable(thing) and not is_monkey_patched():
            self._give_back(key, thing)
        else:
            self._close(thing)

    def expire(self, **_: object) -> None:
        """Use nothing again: the settings have changed, as they do in tests."""
        for place, (thing, _used) in list(self._things.items()):
            self._things[place] = (thing, -math.inf)

    def close(self) -> None:
        """Close all that no run has at this moment."""
        for pid, key in list(self._things):
            if pid == os.getpid() and (kept := self._things.pop((pid, key), None)):
                self._close(kept[0])

    def _take(self, key: Hashable) -> T | None:
        kept = self._things.pop((os.getpid(), key), None)
        if kept is None:
            return None
        thing, used = kept
        if time.monotonic() - used < IDLE_SECONDS and self._reusable(thing):
            return thing
        self._close(thing)
        return None

    def _give_back(self, key: Hashable, thing: T) -> None:
        place = (os.getpid(), key)
        other = self._things.pop(place, None)
        self._things[place] = (thing, time.monotonic())
        if other is not None:  # two checks of the same
            self._close(other[0])
