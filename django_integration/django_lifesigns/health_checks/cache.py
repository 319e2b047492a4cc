"""The checks of Redis and the caches as functions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.cache import caches

from django_lifesigns.checks.task_results import judge
from django_lifesigns.health_checks.guarded import guarded
from django_lifesigns.health_checks.result import result_of
from django_lifesigns.health_checks.utils import format_check_result
from django_lifesigns.targets.context import NoTargetError
from django_lifesigns.targets.redis import is_redis
from lifesigns.specs import Thresholds

# Percent of the memory that Redis may use.
MEMORY = Thresholds(degraded_above=70, error_above=85)
FRAGMENTATION = 2.0
# Percent of the reads that found their key, once there were so many.
HITS, READS = 80.0, 1_000
# Percent of the clients that Redis takes; clients that wait; slow commands of the last minutes; commands per second.
CLIENTS, BLOCKED, SLOW, OPERATIONS = 80.0, 10, 5, 10_000
SLOW_SECONDS, SLOW_READ = 300, 10


def check_redis_connectivity() -> dict[str, Any]:
    """Check that the Redis server of the default cache responds."""
    return result_of("redis_connectivity")


def check_default_cache() -> dict[str, Any]:
    """Check that the default cache reads and writes."""
    return result_of("default_cache")


def check_select2_cache() -> dict[str, Any]:
    """Check that the select2 cache reads and writes."""
    return result_of("select2_cache")


@guarded(timeout_seconds=10)
def check_redis_memory_health() -> dict[str, Any]:
    """Check how much of its memory the Redis server of the default cache uses, and how well."""
    info = _client().info()
    # Without a limit it can take what the host has.
    limit = info.get("maxmemory") or info.get("total_system_memory") or 0
    usage = 100 * info.get("used_memory", 0) / limit if limit else 0.0
    hits, misses = info.get("keyspace_hits", 0), info.get("keyspace_misses", 0)
    hit_ratio = 100 * hits / (hits + misses) if hits + misses else 0.0
    fragmentation = info.get("mem_fragmentation_ratio", 1.0)
    by_usage = judge(usage, MEMORY)
    warnings = [fragmentation > FRAGMENTATION, hit_ratio < HITS and hits + misses > READS, by_usage == "degraded"]
    status = by_usage if by_usage == "error" else "degraded" if any(warnings) else "healthy"
    alerts = sum(warnings) + (by_usage == "error")
    details = {
        "used_memory_human": info.get("used_memory_human"),
        "usage_percentage": round(usage, 2),
        "maxmemory_human": info.get("maxmemory_human"),
        "fragmentation_ratio": fragmentation,
        "hit_ratio": round(hit_ratio, 2),
        "evicted_keys": info.get("evicted_keys"),
        "alerts_count": alerts,
        "critical_alerts": int(by_usage == "error"),
    }
    return format_check_result(status, f"Redis uses {usage:.1f}% of its memory, {alerts} warnings", details)


@guarded(timeout_seconds=10)
def check_redis_performance() -> dict[str, Any]:
    """Check the load of the Redis server of the default cache: clients, blocked ones, slow commands."""
    client = _client()
    info: Mapping[str, Any] = client.info()
    slow = _slow_commands(client)
    connected, most = info.get("connected_clients", 0), info.get("maxclients", 0)
    blocked, operations = info.get("blocked_clients", 0), info.get("instantaneous_ops_per_sec", 0)
    found = {
        f"{connected} of {most} clients": most and connected > most * CLIENTS / 100,
        f"{blocked} blocked clients": blocked > BLOCKED,
        f"{slow} slow commands": slow > SLOW,
        f"{operations} commands per second": operations > OPERATIONS,
    }
    issues = [text for text, is_issue in found.items() if is_issue]
    details = {
        "total_commands_processed": info.get("total_commands_processed"),
        "ops_per_second": operations,
        "connected_clients": connected,
        "max_clients": most,
        "blocked_clients": blocked,
        "recent_slow_queries": slow,
        "uptime_seconds": info.get("uptime_in_seconds"),
    }
    message = ", ".join(issues) or f"{operations} commands per second, {connected} clients"
    return format_check_result("degraded" if issues else "healthy", message, details)


@guarded(timeout_seconds=5)
def check_celery_redis_health() -> dict[str, Any]:
    """Check that Celery's broker accepts a connection, and that workers respond."""
    from django_lifesigns.checks.celery import CeleryBroker
    from django_lifesigns.checks.celery_workers import CeleryWorkers

    if not getattr(settings, "CELERY_BROKER_URL", None):
        raise NoTargetError("set CELERY_BROKER_URL to check Celery")
    broker: Mapping[str, Any] = CeleryBroker()()
    results = _result_backend()
    details = {"broker_status": broker["status"], "result_backend_status": results, **broker.get("details", {})}
    if "error" in (broker["status"], results):
        return format_check_result("error", "Celery's broker or result backend cannot be reached", details)
    workers: Mapping[str, Any] = CeleryWorkers()()
    details |= workers.get("details", {})
    # No worker is no fault of Redis.
    status = "healthy" if workers["status"] == "healthy" else "degraded"
    return format_check_result(status, workers["message"], details)


def check_channels_redis_health() -> dict[str, Any]:
    """Check that a message that is sent is received."""
    result = result_of("channel_layer")
    backend = result.get("details", {}).get("backend")
    return {**result, "details": {**result["details"], "channel_layer_backend": backend}} if backend else result


def _result_backend() -> str:
    """Return how Celery's result backend is, where that is Redis."""
    url = getattr(settings, "CELERY_RESULT_BACKEND", None)
    if not (isinstance(url, str) and url.startswith(("redis://", "rediss://", "unix://"))):
        return "unknown"
    import redis

    try:
        with closing(redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return "error"
    return "healthy"


def _client() -> Any:
    """Return the client with which the default cache writes."""
    if not is_redis("default"):
        raise NoTargetError("use a Redis cache in CACHES['default'] to check Redis")
    cache: Any = caches["default"]
    # Django's own backend keeps its client in `_cache`, the others in `client`.
    own: Any = getattr(cache, "_cache", None)
    return own.get_client(None, write=True) if hasattr(own, "get_client") else cache.client.get_client(write=True)


def _slow_commands(client: Any) -> int:
    try:
        log = client.slowlog_get(SLOW_READ)
    except Exception:  # noqa: BLE001  # an ACL that forbids it, or a server that has none
        return 0
    return sum(entry["start_time"] > time.time() - SLOW_SECONDS for entry in log)
