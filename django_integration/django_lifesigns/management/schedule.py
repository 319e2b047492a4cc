"""When the sweeps of a command start, and how it is stopped."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from django.utils.translation import gettext as _


def seconds(text: str) -> float:
    """Parse an argument of a command that is a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        message = _("must be a number of seconds above 0, not %(text)r") % {"text": text}
        raise argparse.ArgumentTypeError(message)
    return value


def ticks(
    interval: float,
    at_most: int | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[int]:
    """Count, every `interval` seconds from start to start: without drift, and without ticks that were missed."""
    started, count = now(), 0
    while at_most is None or count < at_most:
        if count:
            tick = int((now() - started) // interval) + 1
            sleep(started + tick * interval - now())
        yield count
        count += 1


@contextmanager
def until_stopped() -> Iterator[None]:
    """End its block, without an error, at Ctrl-C and at SIGTERM, which is what service managers send."""
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _stop) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _stop(*_arguments: object) -> NoReturn:
    raise KeyboardInterrupt
