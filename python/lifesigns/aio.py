"""Waiting for a sweep in an event loop, without a thread for each waiter."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable

from lifesigns import _core

_tokens = itertools.count(1)


class _LoopWaker:
    """The waker of one event loop, and the futures that are waited for, by token."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.native = _core.Waker()
        self.waiting: dict[int, asyncio.Future[None]] = {}
        loop.add_reader(self.native.fileno(), self._woken)

    def _woken(self) -> None:
        for token in self.native.drain():
            future = self.waiting.pop(token, None)
            if future is not None and not future.done():
                future.set_result(None)


_wakers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopWaker] = weakref.WeakKeyDictionary()


def _waker(loop: asyncio.AbstractEventLoop) -> _LoopWaker | None:
    """Return the waker of `loop`; None where the loop cannot watch a socket (Windows' default loop)."""
    waker = _wakers.get(loop)
    if waker is None:
        try:
            waker = _wakers[loop] = _LoopWaker(loop)
        except (NotImplementedError, AttributeError):
            return None
    return waker


async def finish(start: Callable[[_core.Waker | None, int], _core.Sweep], deadline: float | None) -> _core.Sweep:
    """Start a sweep, and wait until it has ended or for `deadline` seconds."""
    loop = asyncio.get_running_loop()
    waker = _waker(loop)
    if waker is None:
        sweep = start(None, 0)
        await asyncio.to_thread(sweep.wait, deadline)
        return sweep
    token = next(_tokens)
    future = waker.waiting[token] = loop.create_future()
    try:
        sweep = start(waker.native, token)
        if not sweep.done:
            await asyncio.wait([future], timeout=sweep.remaining(deadline))
    finally:
        waker.waiting.pop(token, None)
    return sweep
