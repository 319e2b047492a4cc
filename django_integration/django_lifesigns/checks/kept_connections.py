"""Keeps Django's connections between the turns of work that comes back every few seconds.

That work runs on whichever thread is free, while Django has connections of its own for each thread: a session for each
turn would be thousands an hour. So a connection is lent to the thread for its turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from django.core.cache import close_caches
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# Others are opened in no time, or are not known to allow it.
VENDORS = frozenset(["postgresql", "mysql", "oracle"])
# Of one database and process: what writes, and what reads meanwhile.
MOST = 2
# A connection that no turn has used for so long is closed, and each after its age: servers change, passwords expire.
IDLE_SECONDS = 60.0
AGE_SECONDS = 600.0

Value = TypeVar("Value")


@dataclass(slots=True)
class _Kept:
    wrapper: BaseDatabaseWrapper
    opened_at: float
    used_at: float


def keeping_connections(function: Callable[[], Value]) -> Callable[[], Value]:
    """The same function, whose database connections are kept for the next turn, unless it raises."""

    def run() -> Value:
        lent = _lend()
        try:
            value = function()
        except BaseException:
            connections.close_all()
            raise
        else:
            _take_back(lent)
            return value
        finally:
            close_caches()

    # As `returning_connections` has it.
    run.func = function  # type: ignore[attr-defined]
    return run


def close_kept(idle_for: float = 0.0) -> None:
    """Close the connections that no turn uses, and has used for so many seconds."""
    now = time.monotonic()
    for kept in _take_all():
        if now - kept.used_at < idle_for:
            _put(kept)
        else:
            _close(kept.wrapper)


def _lend() -> dict[str, float]:
    """Give this thread a connection to each database of which one is kept; return by alias when it was opened."""
    lent: dict[str, float] = {}
    now = time.monotonic()
    for kept in _take_all():
        alias = kept.wrapper.alias
        if alias in lent:
            _put(kept)
        elif now - kept.opened_at < AGE_SECONDS and kept.wrapper.is_usable():
            connections[alias] = kept.wrapper
            lent[alias] = kept.opened_at
        else:
            _close(kept.wrapper)
    return lent


def _take_back(lent: dict[str, float]) -> None:
    now = time.monotonic()
    for wrapper in connections.all(initialized_only=True):
        if not _can_be_kept(wrapper):
            wrapper.close()
            continue
        del connections[wrapper.alias]
        if not wrapper.allow_thread_sharing:
            wrapper.inc_thread_sharing()
        _put(_Kept(wrapper, lent.get(wrapper.alias, now), now))


def _can_be_kept(wrapper: BaseDatabaseWrapper) -> bool:
    """Return whether it is open, and as it was opened. A pool of the backend's own keeps what is returned to it."""
    return (
        wrapper.vendor in VENDORS
        and wrapper.connection is not None
        and not wrapper.in_atomic_block
        and not wrapper.errors_occurred
        and wrapper.get_autocommit()
        and not wrapper.settings_dict.get("OPTIONS", {}).get("pool")
    )


def _put(kept: _Kept) -> None:
    if sum(other.wrapper.alias == kept.wrapper.alias for other in _idle) < MOST:
        _idle.append(kept)
    else:
        _close(kept.wrapper)


def _take_all() -> list[_Kept]:
    taken = []
    with suppress(IndexError):  # no lock, which a fork could leave locked: of two threads each has some
        while True:
            taken.append(_idle.pop())
    return taken


def _close(wrapper: BaseDatabaseWrapper) -> None:
    with suppress(Exception):  # it is of no use any more, whatever it says to that
        wrapper.close()


_idle: list[_Kept] = []
# Of the parents of this process: closing them here would end their sessions.
_inherited: list[_Kept] = []


def _forget() -> None:
    _inherited.extend(_idle)
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
