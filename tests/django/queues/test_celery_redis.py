"""Celery on Redis with real workers: ready, taken, not yet due, hanging."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.services import Redis

pytest.importorskip("celery")
pytestmark = pytest.mark.services

APP = """
import time
from celery import Celery

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")

@app.task
def quick(): pass

@app.task
def report(): pass

@app.task
def fail(): raise RuntimeError("no")

@app.task
def hang(): time.sleep(600)
"""
SEND = """
import project
for _ in range(3):
    project.quick.delay()
for _ in range(2):
    project.quick.apply_async(priority=9)
project.report.delay()
project.quick.apply_async(queue="hidden")
"""
WORKER = ("-m", "celery", "-A", "project", "worker", "-Q", "celery", "--pool", "prefork", "--concurrency", "2")
RELEASES = [(), ("celery==5.3.6", "kombu==5.3.7", "redis==4.6.0")]


def settings(redis: Redis) -> dict[str, Any]:
    return {
        "CELERY_BROKER_URL": redis.url_for(8),
        "CELERY_BROKER_TRANSPORT_OPTIONS": {"global_keyprefix": "shop:", "visibility_timeout": 3600},
        "CELERY_TASK_ROUTES": {"project.report": {"queue": "reports"}},
        "CELERY_WORKER_PREFETCH_MULTIPLIER": 4,
        "LIFESIGNS": {"CHECKS": {"task_workers": {"stuck_after_seconds": 1}}},
    }


def test_celery_pool_that_stands_still_while_tasks_wait(redis: Redis, tmp_path: Path) -> None:
    given = {**settings(redis), "LIFESIGNS": {"CHECKS": {"task_workers": {"stalled_after_seconds": 1.5}}}}
    with QueueProject(tmp_path, given, {"project": APP}) as project:
        project.do("import project")
        worker = project.start(*WORKER)
        project.wait("task_workers", lambda details: details.get("active_workers") == 1)
        # Two long tasks fill the pool: nothing waits, so nothing is wrong, however long they run.
        project.do("import project; [project.hang.delay() for _ in range(2)]")
        workers = project.wait("task_workers", lambda details: (details.get("oldest_running_seconds") or 0) > 3)
        assert (workers["details"]["running_tasks"], "stalled_workers" in workers["details"]) == (2, False), workers
        # Not yet due: these wait for their time, not for the pool.
        project.do("import project; [project.quick.apply_async(countdown=3600) for _ in range(3)]")
        later = workers["details"]["oldest_running_seconds"] + 3
        workers = project.wait("task_workers", lambda details: details["oldest_running_seconds"] > later)
        assert "stalled_workers" not in workers["details"], workers

        project.do("import project; [project.quick.delay() for _ in range(3)]")
        workers = project.wait("task_workers", lambda details: "stalled_workers" in details)
        assert workers["status"] == "degraded"
        assert re.search(r"; celery@\S+ has started no task for \d+ s, though tasks wait", workers["message"]), workers
        project.kill(worker)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_celery_from_empty_to_a_worker_whose_children_hang(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    with QueueProject(tmp_path, settings(redis), {"project": APP}, install(*release)) as project:
        project.do("import project")
        results = project.checks()
        assert [results[name]["status"] for name in results] == ["healthy", "healthy", "skipped", "error"], results
        assert results["task_queue"]["details"]["backend"] == "celery (redis)"
        assert results["pending_tasks"]["details"]["queue_breakdown"] == {"celery": 0, "reports": 0}

        project.do(SEND)
        details = project.checks("pending_tasks")["pending_tasks"]["details"]
        assert details["queue_breakdown"] == {"celery": 5, "hidden": 1, "reports": 1}

        worker = project.start(*WORKER)
        project.wait("pending_tasks", lambda details: (details["total_pending"], details["unacked_count"]) == (2, 0))
        project.wait("task_workers", lambda details: details.get("active_workers") == 1)

        project.do("import project; [project.quick.apply_async(countdown=3600) for _ in range(5)]")
        details = project.wait("pending_tasks", lambda details: details["unacked_count"] == 5)["details"]
        assert (details["total_pending"], details["taken_tasks"]) == (2, 5)
        assert 0 <= details["oldest_unacked_seconds"] < 60

        project.do("import project; [project.hang.delay() for _ in range(2)]")
        workers = project.wait("task_workers", lambda details: details.get("stuck_tasks") == 2)
        assert (workers["status"], workers["details"]["running_tasks"]) == ("degraded", 2)
        assert workers["details"]["oldest_running_seconds"] >= 1
        assert "2 tasks have been running for more than 1 s" in workers["message"]

        project.kill(worker)
        details = project.checks("pending_tasks")["pending_tasks"]["details"]
        assert (details["total_pending"], details["unacked_count"]) == (2, 5)
