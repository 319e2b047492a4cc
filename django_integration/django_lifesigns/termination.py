"""Lets SIGTERM drain this process before its server shuts it down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from lifesigns import drain


def drain_on_sigterm() -> None:
    """Puts draining before the handler of SIGTERM that there is: from then on `/ready/` answers 503.

    Does nothing where there is none: the process ends at once then, and a handler in Python would only delay that. Does
    nothing in other threads than the main one, where Python refuses to set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler) and not isinstance(handler, _Draining):
        signal.signal(signal.SIGTERM, _Draining(handler))


class _Draining:
    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        drain()
        self.handler(number, frame)
