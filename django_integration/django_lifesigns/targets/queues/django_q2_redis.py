"""The Redis broker of django-q2: one list for each cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.redis_client import server_at, server_of
from lifesigns import specs

# Of `Q_CLUSTER`: what names another broker, which comes before Redis.
OTHER_BROKERS = ("broker_class", "iron_mq", "sqs", "orm", "mongo")


def is_on_redis(cluster: Mapping[str, Any]) -> bool:
    """Return whether tasks are in Redis, which is also the default."""
    return not any(cluster.get(name) for name in OTHER_BROKERS)


def checks_of_redis(cluster: Mapping[str, Any]) -> dict[str, Check]:
    """Return the checks of the broker and of the queue of each cluster of the site."""
    server = server_of_cluster(cluster)
    name = str(cluster.get("name") or "default")
    queues = dict.fromkeys([str(cluster.get("cluster_name") or name), *map(str, cluster.get("ALT_CLUSTERS") or ())])
    return {
        "task_queue": specs.RedisTaskBroker(server=server, backend="django-q2 (redis)"),
        "pending_tasks": specs.RedisPendingTasks(
            server=server, layout="lists", queues=tuple(queues), key="django_q:{queue}:q"
        ),
    }


def server_of_cluster(cluster: Mapping[str, Any]) -> specs.RedisServer:
    """Return the server of `Q_CLUSTER`: that of a cache of django-redis, of a URL, or of redis-py's keywords."""
    if alias := cluster.get("django_redis"):
        return server_at(settings.CACHES[alias], f"CACHES[{alias!r}]")
    redis = cluster.get("redis") or {}
    if isinstance(redis, str):
        return server_at({"LOCATION": [redis]}, "Q_CLUSTER['redis']")
    if not isinstance(redis, Mapping):
        raise WrongTargetError("Q_CLUSTER['redis'] must be a URL, or a dict of redis-py's keywords")
    options = {**redis, "path": redis.get("unix_socket_path")}
    return server_of(options, encrypted=bool(redis.get("ssl")))
