"""Starts real threads of the operating system, also where gevent or eventlet have replaced Python's."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "lifesigns-callable"


def start_thread(target: Callable[[], object]) -> None:
    """Start a daemon thread, which keeps no process alive; RuntimeError if there can be no more threads.

    A greenlet would not do: whatever blocks in native code there stops every request of the process.
    """
    if start_new_thread := _unpatched_by_gevent():
        start_new_thread(target, ())
        return
    threading: Any = _unpatched_by_eventlet()
    if threading is None:
        import threading
    threading.Thread(target=target, name=NAME, daemon=True).start()


def is_monkey_patched() -> bool:
    """Return whether gevent or eventlet have replaced Python's threads."""
    return _unpatched_by_gevent() is not None or _unpatched_by_eventlet() is not None


def _unpatched_by_gevent() -> Any:
    """Return the real `_thread.start_new_thread` where gevent has put another in its place."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_object_patched("_thread", "start_new_thread"):
        return None
    return monkey.get_original("_thread", "start_new_thread")


def _unpatched_by_eventlet() -> Any:
    """Return the real `threading` where eventlet has put another in its place."""
    patcher: Any = sys.modules.get("eventlet.patcher")
    if patcher is None or not patcher.is_monkey_patched("thread"):
        return None
    return patcher.original("threading")
