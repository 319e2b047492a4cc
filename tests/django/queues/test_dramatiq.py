"""Dramatiq and django-dramatiq against Redis: what waits, fails, and is left behind."""

from __future__ import annotations

from pathlib import Path

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
RELEASES = [(), ("dramatiq==1.17.0", "django-dramatiq==0.11.6")]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_dramatiq_from_empty_to_a_worker_that_died(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    options = {"url": redis.url_for(8), "namespace": "shop"}
    broker = {"BROKER": "dramatiq.brokers.redis.RedisBroker", "OPTIONS": options, "MIDDLEWARE": MIDDLEWARE}
    settings = {"INSTALLED_APPS": ["django_dramatiq"], "DRAMATIQ_BROKER": broker}
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

        worker = project.start("-m", "dramatiq", "-p", "1", "-t", "1", "django_dramatiq.setup", "actors")
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
