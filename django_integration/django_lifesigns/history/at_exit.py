"""Calls what has to be done before this process ends, within bounds that it sets itself."""

from __future__ import annotations

import atexit
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import util

_registered: set[tuple[int, Callable[[], object]]] = set()


def before_exit(callback: Callable[[], object]) -> None:
    """Call a function once when this process ends by itself: at its end, by `sys.exit`, at a signal that it handles.

    Not in its forked children, nor where the kernel ends it.
    """
    entry = (os.getpid(), callback)
    if entry in _registered:
        return
    _registered.add(entry)
    atexit.register(_run, *entry)
    if multiprocessing.parent_process() is not None:
        # The children of multiprocessing that are forked end by `os._exit`, but for this.
        util.Finalize(None, _run, entry, exitpriority=100)


def _run(pid: int, callback: Callable[[], object]) -> None:
    if pid == os.getpid() and (pid, callback) in _registered:
        _registered.discard((pid, callback))
        callback()
