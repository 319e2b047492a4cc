"""Dramatiq and django-dramatiq against Redis: what waits, fails, and is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.services import Redis

pytest.importorskip("django_dramatiq")
pytestmark = pytest.mark.services

ACTORS = """
import time
import dramatiq

@dramatiq.actor(queue_name="mail")
def quick(): pass

@dramatiq.actor(queue_name="mail", max_retries=0)
def fail(): raise RuntimeError("no")

@dramatiq.actor(queue_name="mail")
def hang(): time.sleep(600)
"""
SEND = """
import actors
for _ in range(3):
    actors.quick.send()
actors.quick.send_with_options(delay=3_600_000)
"""
# Two that were due an hour ago, and one that is in an hour.
DELAY = """
import actors
for minutes in (-60, -60, 60):
    actors.quick.send_with_options(delay=minutes * 60_000)
"""
# Lets two hours pass for the messages of a hash that are to run later.
AGE = """
import json
import dramatiq
client = dramatiq.get_broker().client
for key, data in client.hgetall("shop:mail.DQ.msgs").items():
    message = json.loads(data)
    message["options"]["eta"] -= 7_200_000
    client.hset("shop:mail.DQ.msgs", key, json.dumps(message))
"""
# As one that was sent five minutes ago and not taken since.
STAND = """
import time
import actors, dramatiq
message = actors.quick.message()
sent = {**message.asdict(), "message_timestamp": int(time.time() * 1000) - 300_000}
dramatiq.get_broker().enqueue(type(message)(**sent))
"""
RELEASES = [(), ("dramatiq==1.17.0", "django-dramatiq==0.11.6")]
WORKER = ("-m", "dramatiq", "-p", "1", "-t", "1", "django_dramatiq.setup", "actors")


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_dramatiq_from_empty_to_a_worker_that_died(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    settings = settings_of(redis)
    with QueueProject(tmp_path, settings, {"actors": ACTORS}, install(*release)) as project:
        results = project.checks()
        assert results["task_queue"]["details"]["backend"] == "dramatiq"
        assert [results[name]["status"] for name in results] == ["healthy", "healthy", "healthy", "error"], results

        project.do(SEND)
        details = project.checks("pending_tasks")["pending_tasks"]["details"]
        # The queue is found, though the process that checks declared none when it started.
        assert details["queue_breakdown"] == {"mail": 3, "default": 0}
        assert (details["scheduled_tasks"], details["taken_tasks"]) == (1, 0)
        assert 0 <= details["oldest_pending_seconds"] < 60

        worker = project.start(*WORKER)
        details = project.wait("pending_tasks", lambda found: not found["total_pending"] + found["taken_tasks"])[
            "details"
        ]
        assert details["scheduled_tasks"] == 1  # in the memory of the worker
        forget_senders(redis)
        project.wait("task_workers", lambda details: details["active_workers"] == 1)

        project.do("import actors; actors.fail.send()")
        project.wait("failed_tasks", lambda details: details["failed_count_last_hour"] == 1)
        project.do("import actors; actors.hang.send()")
        project.wait("pending_tasks", lambda details: details["taken_tasks"] == 1)
        project.do("import actors; actors.quick.send()")
        details = project.wait("pending_tasks", lambda details: details["taken_tasks"] == 2)["details"]
        assert details["total_pending"] == 0
        assert project.checks("task_workers")["task_workers"]["details"]["stuck_tasks"] == 0

        project.kill(worker)
        forget_senders(redis)
        workers = project.checks("task_workers")["task_workers"]
        assert (workers["status"], workers["details"]["stuck_tasks"]) == ("degraded", 2), workers
        assert "since a deploy may be under way" in workers["message"]
    # Another scope has seen no worker, so that it waits for none.
    (tmp_path / "other").mkdir()
    with QueueProject(tmp_path / "other", settings, {"actors": ACTORS}, install(*release)) as other:
        assert other.checks("task_workers")["task_workers"]["status"] == "error"


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_dramatiq_overdue_messages_until_a_worker_takes_them(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    with QueueProject(tmp_path, settings_of(redis), {"actors": ACTORS}, install(*release)) as project:
        project.do(DELAY)
        pending = project.checks("pending_tasks")["pending_tasks"]
        assert pending["status"] == "degraded", pending
        assert "2 schedules are overdue" in pending["message"]
        assert (pending["details"]["scheduled_tasks"], pending["details"]["overdue_schedules"]) == (1, 2)

        worker = project.start(*WORKER)
        done = {"scheduled_tasks": 1, "overdue_schedules": 0, "total_pending": 0, "taken_tasks": 0}
        pending = project.wait("pending_tasks", lambda details: done.items() <= details.items())
        assert pending["status"] == "healthy"
        # The last one is in the worker's memory, and in no list.
        project.kill(worker)
        project.do(AGE)
        details = project.checks("pending_tasks")["pending_tasks"]["details"]
        assert (details["scheduled_tasks"], details["overdue_schedules"]) == (0, 1)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_dramatiq_messages_that_no_worker_takes(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    with QueueProject(tmp_path, settings_of(redis), {"actors": ACTORS}, install(*release)) as project:
        project.do("import actors; actors.quick.send()")
        # The process that sends has a heartbeat, and a worker would take a moment.
        workers = project.checks("task_workers")["task_workers"]
        assert (workers["status"], workers["details"]["active_workers"]) == ("healthy", 1), workers
        redis.command("-n", "8", "DEL", "shop:mail", "shop:mail.msgs")
        project.do(STAND)
        workers = project.checks("task_workers")["task_workers"]
        assert (workers["status"], workers["details"]["queues_without_worker"]) == ("degraded", ["mail"]), workers
        assert 'no worker listens to "mail", where 1 task is pending' in workers["message"]

        forget_senders(redis)
        workers = project.checks("task_workers")["task_workers"]
        assert (workers["details"]["active_workers"], workers["details"]["queues_without_worker"]) == (0, ["mail"])

        project.start(*WORKER)
        workers = project.wait("task_workers", lambda details: "queues_without_worker" not in details)
        assert workers["status"] == "healthy"


def settings_of(redis: Redis) -> dict[str, Any]:
    options = {"url": redis.url_for(8), "namespace": "shop"}
    broker = {"BROKER": "dramatiq.brokers.redis.RedisBroker", "OPTIONS": options, "MIDDLEWARE": MIDDLEWARE}
    return {"INSTALLED_APPS": ["django_dramatiq"], "DRAMATIQ_BROKER": broker}


def forget_senders(redis: Redis) -> None:
    """Let two minutes pass, as far as heartbeats are concerned: those that work send another at once."""
    key = ("-n", "8", "ZRANGE", "shop:__heartbeats__", "0", "-1")
    for worker in redis.command(*key).splitlines():
        redis.command("-n", "8", "ZINCRBY", "shop:__heartbeats__", "-120000", worker)


MIDDLEWARE = [
    "dramatiq.middleware.AgeLimit",
    "dramatiq.middleware.TimeLimit",
    "dramatiq.middleware.Callbacks",
    "dramatiq.middleware.Retries",
    "django_dramatiq.middleware.DbConnectionsMiddleware",
]
