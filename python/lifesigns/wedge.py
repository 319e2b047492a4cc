"""Reports to the engine whether Python runs: event loops, interpreter exit, the stacks of a wedged process."""

from __future__ import annotations

import itertools
import weakref

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

# Seconds between two heartbeats of an event loop.
LOOP_BEAT = 1.0

_ids = itertools.count(1)
_watched: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_once: set[str] = set()
_dump_signal: list[int] = []


def stop_at_exit() -> None:
    """Stop watching the interpreter before it ends."""
    if "atexit" not in _once:
        import atexit

        _once.add("atexit")
        atexit.register(_core.stop_interpreter_monitor)


def watch_loop() -> None:
    """Watch the running event loop for `/alive`: late by ``wedged_after``, it makes the process count as wedged.

    To be called in the loop that serves for the life of the process. It is watched until it is closed.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    if loop not in _watched:
        _watched.add(loop)
        _LoopBeat().beat(loop)


class _LoopBeat:
    """Sends heartbeats of a loop, which holds the only reference: once the loop is closed it ends and reports that."""

    def __init__(self) -> None:
        self._id = next(_ids)
        weakref.finalize(self, _core.loop_ended, self._id).atexit = False

    def beat(self, loop: asyncio.AbstractEventLoop) -> None:
        _core.loop_runs(self._id, LOOP_BEAT)
        loop.call_later(LOOP_BEAT, self.beat, loop)


def dump_signal() -> int:
    """Return a signal at which the stacks of all threads are written to standard error, without the interpreter."""
    if not _dump_signal:
        import faulthandler
        import signal
        import sys

        if not hasattr(signal, "SIGRTMIN"):
            raise ValueError("dump_on_wedge requires real-time signals, which this system does not have")
        # The middle of the range: those at its ends are in use elsewhere.
        wanted = range((signal.SIGRTMIN + signal.SIGRTMAX) // 2, signal.SIGRTMAX)
        free = [number for number in wanted if signal.getsignal(number) == signal.SIG_DFL]
        if not free:
            raise ValueError("dump_on_wedge requires a free real-time signal, and there is none")
        try:
            faulthandler.register(free[0], sys.stderr)
        except (AttributeError, OSError, RuntimeError, ValueError):
            # Replaced by something that has no descriptor; the log of the process is where descriptor 2 leads.
            faulthandler.register(free[0], 2)
        _dump_signal.append(free[0])
    return _dump_signal[0]
