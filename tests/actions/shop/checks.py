"""Checks of the shop, and what warms its cache."""

from __future__ import annotations

from django.core.cache import cache
from redis.exceptions import RedisError

from tests.actions.shop import lines, note


def prices() -> bool | dict[str, str]:
    """Whether the prices are in the cache; healthy where it cannot be read, which another check says."""
    try:
        return cache.get("prices") is not None or {"status": "error", "message": "No prices in the cache"}
    except RedisError:
        return True


def warm() -> str:
    cache.set("prices", {"tea": 3}, timeout=None)
    note("warmed")
    return "1 price"


def orders() -> bool | dict[str, str]:
    """Whether all tasks that were sent are done."""
    waiting = len(lines("sent")) - len(lines("done"))
    return waiting <= 0 or {"status": "error", "message": f"{waiting} tasks wait"}
