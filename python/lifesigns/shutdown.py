"""Drains this process at SIGTERM, whatever handler its server sets and whenever it does so."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from lifesigns import _core
from lifesigns.threads import is_monkey_patched, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# Seconds between looks at the handler: servers set theirs while they start, after they have loaded the application.
LOOK_EVERY = 0.1
STARTING_SECONDS = 30.0
LOOK_EVERY_LATER = 30.0

_watching: dict[str, int] = {}
# By the process that they were given to.
_functions: list[tuple[int, Callable[[], object]]] = []


def wrap_sigterm() -> None:
    """Put `drain` before the present handler of SIGTERM: from then on `/ready` is 503.

    Without a handler the process ends at once at SIGTERM, and one in Python would only delay that. Does nothing in
    other threads than the main one, where Python refuses to set handlers.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return
    handler: Any = signal.getsignal(signal.SIGTERM)
    if _is_foreign(handler):
        signal.signal(signal.SIGTERM, _Draining(handler))


def drain_on_sigterm() -> None:
    """Have SIGTERM drain this process before its server shuts it down, for the rest of its life.

    uvicorn, hypercorn, granian, daphne and gunicorn's workers for ASGI set their handlers after they have loaded the
    application, so a thread watches for a handler that was replaced. The main thread, which alone may set handlers, is
    reached by SIGURG, which means nothing by itself. Call this in the main thread; elsewhere it does nothing.
    """
    if _watching.get("in") == os.getpid() or threading.current_thread() is not threading.main_thread():
        return
    wrap_sigterm()
    # Where gevent or eventlet runs, the server's handlers are set before it loads the application.
    if not hasattr(signal, "SIGURG") or is_monkey_patched():
        return
    _watching["in"] = os.getpid()
    before = signal.getsignal(signal.SIGURG)
    if not isinstance(before, _Rewrapping):
        signal.signal(signal.SIGURG, _Rewrapping(before))
    try:
        start_thread(_watch)
    except RuntimeError:  # there can be no more threads: the handler that there is drains
        _watching.clear()


def call_at_sigterm(function: Callable[[], object]) -> None:
    """Have a function called on a thread of its own once SIGTERM drains this process: see `drain_on_sigterm`.

    For what cannot wait for the interpreter's end: uvicorn has the signal end the process once it has shut down.
    """
    _functions.append((os.getpid(), function))


def _watch() -> None:
    main = threading.main_thread().ident
    started = time.monotonic()
    while main is not None:
        is_starting = time.monotonic() - started < STARTING_SECONDS
        time.sleep(LOOK_EVERY if is_starting else LOOK_EVERY_LATER)
        if _is_foreign(signal.getsignal(signal.SIGTERM)):
            signal.pthread_kill(main, signal.SIGURG)


def _is_foreign(handler: Any) -> bool:
    return callable(handler) and not isinstance(handler, _Draining)


class _Draining:
    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        _core.drain()
        for pid, function in _functions:
            if pid == os.getpid():
                with suppress(RuntimeError):  # there can be no more threads
                    start_thread(function)
        self.handler(number, frame)


class _Rewrapping:
    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        wrap_sigterm()
        if callable(self.handler):
            self.handler(number, frame)
