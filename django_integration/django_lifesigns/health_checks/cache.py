"""The checks of Redis and the caches as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_redis_connectivity() -> dict[str, Any]:
    """The Redis server of the default cache answers."""
    return result_of("redis_connectivity")


def check_default_cache() -> dict[str, Any]:
    """The default cache reads and writes."""
    return result_of("default_cache")


def check_select2_cache() -> dict[str, Any]:
    """The select2 cache reads and writes."""
    return result_of("select2_cache")
