"""Huey, as `huey.contrib.djhuey` makes it of the settings: what waits is in Redis, or in another storage of its own."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from django_lifesigns.checks.huey import HueyPending
from django_lifesigns.targets.queues.redis_client import server_of_pool
from django_lifesigns.targets.queues.task_queue import TaskQueue
from lifesigns import specs

CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")
UNKNOWN = {
    "failed_tasks": "huey keeps no failures",
    "task_workers": "huey's consumer leaves no heartbeat",
}


def huey() -> TaskQueue:
    """Return what can be checked of the storage of this process's huey; its keys depend on huey's version."""
    from huey.contrib.djhuey import HUEY

    if HUEY.immediate:
        reason = "huey runs tasks at once (HUEY['immediate'], by default in DEBUG)"
        return TaskQueue(backend="huey", unknown=dict.fromkeys(CHECKS, reason))
    storage: Any = HUEY.storage
    kind = type(storage).__name__
    if kind in ("MemoryStorage", "BlackHoleStorage"):
        reason = "huey keeps its tasks in the memory of each process (HUEY['huey_class'])"
        return TaskQueue(backend="huey", unknown=dict.fromkeys(CHECKS, reason))
    if not hasattr(storage, "queue_key"):
        unknown = {"task_queue": f"huey's storage is a {kind}: the check pending_tasks reads it", **UNKNOWN}
        return TaskQueue(backend="huey", checks={"pending_tasks": HueyPending()}, unknown=unknown)
    server = server_of_pool(storage.pool)
    return TaskQueue(
        backend="huey",
        checks={
            "task_queue": specs.RedisTaskBroker(server=server, backend="huey"),
            "pending_tasks": specs.RedisPendingTasks(
                server=server,
                layout="lists",
                queues=(storage.name,),
                key=storage.queue_key,
                scheduled_key=storage.schedule_key,
                scheduled_zone=_zone_of_scores(HUEY),
                sorted=bool(storage.priority),
            ),
        },
        unknown=UNKNOWN,
    )


def _zone_of_scores(huey: Any) -> str | None:
    """Return the zone as whose local time huey takes UTC: that of the process, which Django sets to `TIME_ZONE`.

    With local times (`utc=False`) its scores are right.
    """
    return settings.TIME_ZONE if huey.utc else "UTC"
