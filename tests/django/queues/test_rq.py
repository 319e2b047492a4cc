"""RQ and django-rq against Redis: what waits, fails, runs, and is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.services import Redis, wait_until
from tests.services.redis import PASSWORD, USER

pytest.importorskip("django_rq")
pytestmark = pytest.mark.services

JOBS = """
import time

def quick(): pass
def fail(): raise RuntimeError("no")
def hang(): time.sleep(600)
"""
SEND = """
from datetime import timedelta
import django_rq, jobs
for _ in range(3):
    django_rq.get_queue("mail").enqueue(jobs.quick)
django_rq.get_queue("mail").enqueue_in(timedelta(hours=1), jobs.quick)
"""
SCHEDULE = """
from datetime import datetime, timedelta, timezone
import django_rq, jobs
for _ in range(2):
    django_rq.get_queue("default").enqueue_at(datetime.now(timezone.utc) - timedelta(hours=1), jobs.quick)
django_rq.get_queue("default").enqueue_in(timedelta(hours=1), jobs.quick)
"""
# By the package rq-scheduler: two that were due an hour ago, and one that is in an hour.
SCHEDULER = """
from datetime import datetime, timedelta, timezone
import django_rq, jobs
from rq_scheduler import Scheduler
scheduler = Scheduler("default", connection=django_rq.get_connection("default"))
"""
SCHEDULE_ALL = f"""{SCHEDULER}
now = datetime.now(timezone.utc).replace(tzinfo=None)
for minutes in (-60, -60, 60):
    scheduler.enqueue_at(now + timedelta(minutes=minutes), jobs.quick)
"""
RUN_SCHEDULER = f"""
import django
django.setup()
{SCHEDULER}
scheduler.run(burst=True)
"""
# The newest releases, and the oldest that are supported.
RELEASES = [(), ("rq==1.16.2", "django-rq==2.10.3")]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_rq_from_empty_to_a_worker_that_died(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    queue: dict[str, Any] = {"HOST": redis.host, "PORT": redis.port, "DB": 8, "USERNAME": USER, "PASSWORD": PASSWORD}
    settings = {"INSTALLED_APPS": ["django_rq"], "RQ_QUEUES": {"default": {"URL": redis.url_for(8)}, "mail": queue}}
    with QueueProject(tmp_path, settings, {"jobs": JOBS}, install(*release)) as project:
        results = project.checks()
        assert results["task_queue"]["details"]["backend"] == "rq"
        assert [results[name]["status"] for name in results] == ["healthy", "healthy", "healthy", "error"], results
        assert results["pending_tasks"]["details"]["queue_breakdown"] == {"default": 0, "mail": 0}

        project.do(SEND)
        details = project.checks("pending_tasks")["pending_tasks"]["details"]
        assert details["queue_breakdown"] == {"mail": 3, "default": 0}
        assert details["scheduled_tasks"] == 1
        assert 0 <= details["oldest_pending_seconds"] < 60

        worker = project.start("-m", "django", "rqworker", "mail")
        project.wait("pending_tasks", lambda details: details["total_pending"] == 0)
        workers = project.checks("task_workers")["task_workers"]
        assert (workers["status"], workers["details"]["active_workers"]) == ("healthy", 1)

        project.do("import django_rq, jobs; django_rq.get_queue('mail').enqueue(jobs.fail)")
        failed = project.wait("failed_tasks", lambda details: details["failed_count_last_hour"])
        assert failed["details"] == {"failed_count_last_hour": 1, "window_minutes": 60}

        project.do("import django_rq, jobs; django_rq.get_queue('mail').enqueue(jobs.hang)")
        project.do("import django_rq, jobs; django_rq.get_queue('default').enqueue(jobs.quick)")
        workers = project.wait("task_workers", lambda details: details["oldest_running_seconds"] is not None)
        assert workers["details"]["running_tasks"] == 1
        assert 0 <= workers["details"]["oldest_running_seconds"] < 60
        assert (workers["status"], workers["details"]["queues_without_worker"]) == ("degraded", ["default"])

        # Three jobs and the failed one, over the seconds since the first look.
        flow = project.wait("pending_tasks", lambda details: details.get("finished_per_minute"))["details"]
        assert flow["expected_wait_seconds"] == pytest.approx(
            flow["total_pending"] * 60 / flow["finished_per_minute"], 0.2
        )

        project.kill(worker)
        expire(redis)
        workers = project.wait("task_workers", lambda details: details["stuck_tasks"])
        # Its registration is still there: this is no deploy.
        assert (workers["status"], workers["details"]["active_workers"]) == ("error", 0)
        assert "1 task left behind by a worker that died" in workers["message"]
        assert "0 of 1 expected workers alive, the last heartbeat was " in workers["message"]
        assert 0 <= workers["details"]["last_heartbeat_seconds"] < 120


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_rq_overdue_jobs_until_a_scheduler_runs(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    settings = {"INSTALLED_APPS": ["django_rq"], "RQ_QUEUES": {"default": {"URL": redis.url_for(8)}}}
    with QueueProject(tmp_path, settings, {"jobs": JOBS}, install(*release)) as project:
        project.do(SCHEDULE)
        worker = project.start("-m", "django", "rqworker", "default")
        project.wait("task_workers", lambda details: details["active_workers"] == 1)
        pending = project.checks("pending_tasks")["pending_tasks"]
        assert (pending["details"]["scheduled_tasks"], pending["details"]["overdue_schedules"]) == (1, 2)
        assert pending["status"] == "degraded"
        assert "2 schedules are overdue: no scheduler runs for" in pending["message"]

        project.kill(worker)
        project.start("-m", "django", "rqworker", "default", "--with-scheduler")
        pending = project.wait("pending_tasks", lambda details: details["overdue_schedules"] == 0)
        assert (pending["status"], pending["details"]["scheduled_tasks"]) == ("healthy", 1)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_rq_scheduler_overdue_jobs_until_it_runs(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    settings = {"INSTALLED_APPS": ["django_rq"], "RQ_QUEUES": {"default": {"URL": redis.url_for(8)}}}
    packages = install(*release, "rq-scheduler==0.14.0")
    # Of the package that reads cron's syntax, which no job here has, there is no wheel.
    modules = {"jobs": JOBS, "crontab": "CronTab = None"}
    with QueueProject(tmp_path, settings, modules, packages) as project:
        project.do(SCHEDULE_ALL)
        pending = project.checks("pending_tasks")["pending_tasks"]
        assert (pending["details"]["scheduled_tasks"], pending["details"]["overdue_schedules"]) == (1, 2)
        assert pending["status"] == "degraded"
        assert pending["message"].endswith("2 schedules are overdue")

        project.start("-c", RUN_SCHEDULER)
        pending = project.wait("pending_tasks", lambda details: details["overdue_schedules"] == 0)
        assert pending["status"] == "healthy"
        assert (pending["details"]["scheduled_tasks"], pending["details"]["total_pending"]) == (1, 2)


def expire(redis: Redis) -> None:
    """What the server does by itself 1.5 minutes after the last heartbeat of a busy worker."""
    [entry] = redis.command("-n", "8", "ZRANGE", "rq:wip:mail", "0", "-1").splitlines()
    redis.command("-n", "8", "ZINCRBY", "rq:wip:mail", "-600", entry)
    [worker] = redis.command("-n", "8", "SMEMBERS", "rq:workers").splitlines()
    redis.command("-n", "8", "PEXPIRE", worker, "1")
    wait_until(lambda: redis.command("-n", "8", "EXISTS", worker) == "0")
