"""Exceptions of the clients of Redis, of which any may be installed."""

from __future__ import annotations

import sys

CLIENTS = ("redis.exceptions", "valkey.exceptions")


def not_permitted() -> tuple[type[Exception], ...]:
    """Return what redis-py and valkey-py raise where an ACL forbids a command, for an `except` clause."""
    found = (getattr(sys.modules.get(module), "NoPermissionError", None) for module in CLIENTS)
    return tuple(kind for kind in found if kind is not None)
