"""Closes the connections of this worker: those of the engine at once, those of each thread with its next request.

A connection of Django's belongs to a thread, and no other thread may close it. So the action only says that what is
older is stale, and each thread that serves closes what it has when it next starts a request or a task.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from django.core.cache import caches
from django.core.signals import request_started
from django.db import connections

from lifesigns import close_connections

DISPATCH = "django_lifesigns.stale_connections"


class _Seen(threading.local):
    """Up to which action the present thread has closed what it had."""

    number = 0


_seen = _Seen()
_stale: list[int] = [0]


class StaleConnections:
    """The action."""

    def wrong(self) -> None:
        """Return None: it takes no arguments."""

    def __call__(self) -> str:
        watch()
        _stale[0] += 1
        close_connections()
        return "the engine's connections are closed; each thread closes its own with its next request"


def watch() -> None:
    """Have each thread look when it starts a request or a task, from now on."""
    request_started.connect(_close_if_stale, dispatch_uid=DISPATCH)
    if "celery" in sys.modules:
        from celery.signals import task_prerun

        task_prerun.connect(_close_if_stale, dispatch_uid=DISPATCH)


def _close_if_stale(**_: Any) -> None:
    if _seen.number == _stale[0]:
        return
    _seen.number = _stale[0]
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
    for cache in caches.all(initialized_only=True):
        for pool in _pools(cache):
            pool.disconnect()


def _pools(cache: Any) -> list[Any]:
    """Return the pools of connections that a cache of Redis' keeps, of Django's own backend or of django-redis."""
    own = getattr(getattr(cache, "_cache", None), "_pools", None)
    pools = list(own.values()) if isinstance(own, dict) else []
    clients = getattr(getattr(cache, "client", None), "_clients", None) or ()
    pools += [client.connection_pool for client in clients if hasattr(client, "connection_pool")]
    return [pool for pool in pools if hasattr(pool, "disconnect")]
