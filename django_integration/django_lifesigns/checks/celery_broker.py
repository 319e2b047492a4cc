"""What Celery's broker knows of its queues, its workers, and the messages that they have taken."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

REDIS = "redis"
STEP_SECONDS = 0.1
# Versions of Redis that wait for whole seconds only.
WHOLE_SECONDS = re.compile(r"[2-5]\.")


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueState:
    """What waits in a queue, and how many workers consume it."""

    messages: int
    consumers: int


def queue_states(connection: Any, queues: Iterable[str]) -> dict[str, QueueState]:
    """Return the queues that exist, by a passive declaration of each: none is made."""
    states = {}
    for queue in queues:
        # A channel for each: AMQP closes the one on which it answers that there is no such queue. On Redis each is a
        # connection.
        with _channel(connection) as channel:
            try:
                found = channel.queue_declare(queue, passive=True)
            except connection.channel_errors:
                continue
            states[queue] = QueueState(messages=int(found.message_count), consumers=int(found.consumer_count or 0))
    return states


def unacked(connection: Any) -> dict[str, object]:
    """Return how many messages workers have taken and not finished, and for how long the oldest; nothing but on Redis.

    Tasks that wait in a worker, since it fetched them early or they are to run later, are among them: they have left
    the queue, and its depth.
    """
    if connection.transport.driver_type != REDIS:
        return {}
    with _client(connection) as (channel, client):
        count = int(client.hlen(channel.unacked_key))
        oldest = client.zrange(channel.unacked_index_key, 0, 0, withscores=True)
    seconds = round(max(0.0, time.time() - oldest[0][1]), 1) if count and oldest else None
    return {"unacked_count": count, "oldest_unacked_seconds": seconds}


def wait_in_short_steps(connection: Any) -> None:
    """Have kombu wait for replies on Redis in short steps: it waits for a second at a time, also to close."""
    if connection.transport.driver_type != REDIS:
        return
    channel = connection.default_channel
    try:
        with channel.conn_or_acquire() as client:
            version = str(client.info("server").get("redis_version"))
    except connection.channel_errors:  # an ACL forbids INFO: there are ACLs from 6.0 on
        version = ""
    if not WHOLE_SECONDS.match(version):
        channel.brpop_timeout = STEP_SECONDS


def running(answers: Mapping[str, Iterable[Mapping[str, Any]]], stuck_after: float = 0.0) -> dict[str, object]:
    """Return what of the workers' answers shows tasks that hang: how many run, and for how long the oldest has.

    With `stuck_after` seconds also how many have been running for longer.
    """
    started = [task.get("time_start") for tasks in answers.values() for task in tasks]
    times = [at for at in started if isinstance(at, (int, float))]
    now = time.time()
    oldest = round(max(0.0, now - min(times)), 1) if times else None
    stuck = {"stuck_tasks": sum(now - at > stuck_after for at in times)} if stuck_after else {}
    return {"running_tasks": len(started), "oldest_running_seconds": oldest, **stuck}


def with_stuck(result: dict[str, Any], stuck_after: float) -> dict[str, Any]:
    """Return the result, degraded at least where it counts stuck tasks."""
    count = result["details"].get("stuck_tasks")
    if not count:
        return result
    noun = "task has" if count == 1 else "tasks have"
    message = f"{result['message']}; {count} {noun} been running for more than {stuck_after:g} s"
    return {**result, "status": "error" if result["status"] == "error" else "degraded", "message": message}


@contextmanager
def _channel(connection: Any) -> Iterator[Any]:
    if connection.transport.driver_type == REDIS:
        yield connection.default_channel
        return
    with connection.channel() as channel:
        yield channel


@contextmanager
def _client(connection: Any) -> Iterator[tuple[Any, Any]]:
    channel = connection.default_channel
    with channel.conn_or_acquire() as client:
        yield channel, client
