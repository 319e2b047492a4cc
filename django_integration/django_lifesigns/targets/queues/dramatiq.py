"""Dramatiq, with the broker of django-dramatiq: where that is Redis, messages and heartbeats are in it."""

from __future__ import annotations

from math import ceil
from typing import Any

from django_lifesigns.targets.queues.redis_client import server_of_pool
from django_lifesigns.targets.queues.task_queue import TaskQueue
from lifesigns import specs

CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")


def dramatiq() -> TaskQueue:
    """Return what the broker of this process is made for; queues that it has not declared are found in Redis."""
    from dramatiq import get_broker

    broker: Any = get_broker()
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(broker).__mro__}
    if "dramatiq.brokers.redis.RedisBroker" not in kinds:
        reason = f"dramatiq's broker is a {type(broker).__name__}, and only one in Redis can be checked"
        return TaskQueue(backend="dramatiq", unknown=dict.fromkeys(CHECKS, reason))
    server = server_of_pool(broker.client.connection_pool)
    names = tuple(sorted(broker.get_declared_queues() | {"default"}))
    shared: dict[str, Any] = {
        "server": server,
        "layout": "dramatiq",
        "queues": names,
        "discover": True,
        "prefix": broker.namespace,
    }
    window = max(1, ceil(broker.heartbeat_timeout / 60_000))
    return TaskQueue(
        backend="dramatiq",
        checks={
            "task_queue": specs.RedisTaskBroker(server=server, backend="dramatiq"),
            "pending_tasks": specs.RedisPendingTasks(**shared),
            "failed_tasks": specs.RedisFailedTasks(**shared),
            "task_workers": specs.RedisTaskWorkers(**shared, heartbeat_window_minutes=window),
        },
    )
