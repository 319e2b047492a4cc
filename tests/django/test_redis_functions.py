"""The further functions for Redis of the replaced application, against real servers and sentinels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.health_checks import cache, sentinel
from tests import services
from tests.checks.redis_server import Configured
from tests.django.projects import run_json
from tests.services import Sentinel, wait_until
from tests.services.redis import PASSWORD, USER

FUNCTIONS = [
    cache.check_redis_memory_health,
    cache.check_redis_performance,
    cache.check_celery_redis_health,
    cache.check_channels_redis_health,
    sentinel.check_sentinel_cluster_health,
    sentinel.check_master_replica_status,
    sentinel.check_sentinel_quorum,
    sentinel.check_sentinel_failover_capability,
]
REDIS_CACHE = "django.core.cache.backends.redis.RedisCache"


@pytest.fixture(scope="module")
def master() -> Iterator[Configured]:
    with Configured("maxmemory 100mb") as server:
        yield server


def redis_cache(server: services.Redis) -> dict[str, Any]:
    return {"default": {"BACKEND": REDIS_CACHE, "LOCATION": server.url}}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_unconfigured__is_skipped(function: Any) -> None:
    result = function()
    assert result["status"] == "skipped"
    assert result["message"]
    assert result["duration_ms"] >= 0


@pytest.mark.parametrize("function", [cache.check_redis_memory_health, cache.check_redis_performance])
def test_redis__refused(settings: Any, function: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": REDIS_CACHE, "LOCATION": "redis://app:hunter2@127.0.0.1:1"}}
    result = function()
    assert result["status"] == "error"
    assert result["details"] == {"error_type": "ConnectionError", "connection_status": "failed"}
    assert "hunter2" not in str(result)


def test_redis__memory(settings: Any, master: Configured) -> None:
    settings.CACHES = redis_cache(master)
    details = cache.check_redis_memory_health()["details"]
    assert 0 < details["usage_percentage"] < 50
    assert details["maxmemory_human"].startswith("100")
    master.command("CONFIG", "SET", "maxmemory", "1kb")
    try:
        result = cache.check_redis_memory_health()
    finally:
        master.command("CONFIG", "SET", "maxmemory", "100mb")
    assert (result["status"], result["details"]["critical_alerts"]) == ("error", 1)


def test_redis__performance(settings: Any, master: Configured) -> None:
    settings.CACHES = redis_cache(master)
    master.command("SLOWLOG", "RESET")
    result = cache.check_redis_performance()
    assert result["status"] == "healthy"
    assert result["details"]["connected_clients"] >= 1
    assert result["details"]["max_clients"] > 100
    master.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
    for _ in range(10):
        master.command("PING")
    result = cache.check_redis_performance()
    master.command("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert result["status"] == "degraded"
    assert "slow commands" in result["message"]


CELERY = """
import json
from celery import Celery
Celery().config_from_object("django.conf:settings", namespace="CELERY")
from django_lifesigns.health_checks.cache import check_celery_redis_health
print(json.dumps(check_celery_redis_health()))
"""


@pytest.mark.parametrize(("results", "expected"), [("redis", "healthy"), ("nowhere", "error"), (None, "unknown")])
def test_redis__celery(tmp_path: Path, master: Configured, results: str | None, expected: str) -> None:
    backends = {"redis": master.url, "nowhere": "redis://127.0.0.1:1/0"}
    settings = {"CELERY_BROKER_URL": master.url, "CELERY_RESULT_BACKEND": backends.get(results or "")}
    result = run_json(tmp_path, settings, CELERY)
    assert (result["details"]["broker_status"], result["details"]["result_backend_status"]) == ("healthy", expected)
    # No worker is running.
    assert result["status"] == ("error" if expected == "error" else "degraded")


def test_redis__celery_without_a_broker(settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://:hunter2@127.0.0.1:1/0"
    result = cache.check_celery_redis_health()
    assert (result["status"], result["details"]["connection_status"]) == ("error", "failed")
    assert "hunter2" not in str(result)


def test_redis__channels(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    result = cache.check_channels_redis_health()
    assert result["status"] == "healthy"
    assert result["details"]["channel_layer_backend"].endswith("InMemoryChannelLayer")


@pytest.fixture(scope="module")
def cluster(master: Configured) -> Iterator[list[Sentinel]]:
    """Two sentinels of three, the last of which never was; they know the master and a replica."""
    replica = Configured(f"replicaof {master.host} {master.port}", f"masteruser {USER}", f'masterauth "{PASSWORD}"')
    with ExitStack() as stack:
        stack.enter_context(replica)
        sentinels = [stack.enter_context(Sentinel(master, password=True)) for _ in range(2)]
        wait_until(lambda: "slave0" in master.command("INFO", "replication"), 60)
        wait_until(lambda: all(knows_a_replica(node) for node in sentinels), 60)
        yield sentinels


def knows_a_replica(node: Sentinel) -> bool:
    return "num-slaves\n1" in node.command("SENTINEL", "MASTER", "mymaster")


@pytest.fixture
def configured(settings: Any, cluster: list[Sentinel]) -> list[Sentinel]:
    nodes = [(node.host, node.port) for node in cluster]
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://mymaster/0",
            "OPTIONS": {
                "SENTINELS": [*nodes, ("127.0.0.1", 1)],
                "SENTINEL_KWARGS": {"username": USER, "password": PASSWORD},
            },
        }
    }
    return cluster


def test_sentinel__healthy(configured: list[Sentinel], master: Configured) -> None:
    result = sentinel.check_sentinel_cluster_health()
    assert (result["status"], result["details"]["connected_sentinels"]) == ("healthy", 2)
    assert result["details"]["master_info"]["port"] == master.port
    assert result["details"]["sentinel_nodes"][-1]["status"] == "failed"
    result = sentinel.check_master_replica_status()
    assert (result["status"], len(result["details"]["replicas"])) == ("healthy", 1)
    result = sentinel.check_sentinel_quorum()
    assert (result["status"], result["details"]["available_sentinels"]) == ("healthy", 2)
    result = sentinel.check_sentinel_failover_capability()
    assert (result["status"], result["details"]["failover_ready"]) == ("healthy", True)
    assert PASSWORD not in str(result)


def test_sentinel__without_a_quorum(settings: Any, configured: list[Sentinel]) -> None:
    caches = settings.CACHES
    caches["default"]["OPTIONS"]["SENTINELS"] = [(configured[0].host, configured[0].port), *[("127.0.0.1", 1)] * 2]
    settings.CACHES = caches
    for function in (sentinel.check_sentinel_quorum, sentinel.check_sentinel_failover_capability):
        result = function()
        assert result["status"] == "error"
        assert "1 of 3 nodes" in result["message"]


def test_sentinel__unknown_master(settings: Any, configured: list[Sentinel]) -> None:
    caches = settings.CACHES
    caches["default"]["LOCATION"] = "redis://another/0"
    settings.CACHES = caches
    result = sentinel.check_master_replica_status()
    assert (result["status"], result["details"]["master"]) == ("error", None)
