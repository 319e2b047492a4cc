"""Huey against Redis and its other storages: what waits, at once and later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.services import Redis

pytest.importorskip("huey")
pytestmark = pytest.mark.services

TASKS = """
from huey.contrib.djhuey import task

@task()
def quick(): pass
"""
SEND = """
import jobs
for _ in range(3):
    jobs.quick()
jobs.quick.schedule(delay=3600)
"""
CONSUMER = """
import django
django.setup()
import jobs
from django.core.management import call_command
call_command("run_huey", workers=1)
"""
# As a consumer puts aside what is to run later: two tasks an hour ago, one ten minutes ahead.
SCHEDULE = """
from datetime import datetime, timedelta, timezone
import jobs
from huey.contrib.djhuey import HUEY
now = datetime.now(timezone.utc).replace(tzinfo=None) if HUEY.utc else datetime.now()
for minutes in (-60, -59, 10):
    task = jobs.quick.s()
    task.eta = now + timedelta(minutes=minutes)
    HUEY.add_schedule(task)
"""
RELEASES = [(), ("huey==2.5.5",)]
# Names lose other characters, which ones depends on the release.
NAME = "Shop-1_a"


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_huey_until_its_consumer_has_worked(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    with project(tmp_path, install(*release), connection={"url": redis.url_for(8)}) as huey:
        results = huey.checks()
        assert [results[name]["status"] for name in results] == ["healthy", "healthy", "skipped", "skipped"], results
        assert results["task_queue"]["details"]["backend"] == "huey"
        assert "heartbeat" in results["task_workers"]["message"]

        huey.do(SEND)
        details = huey.checks("pending_tasks")["pending_tasks"]["details"]
        # The consumer finds out which are to run later.
        assert (details["total_pending"], details["scheduled_tasks"]) == (4, 0)
        huey.start("-c", CONSUMER)
        done = {"total_pending": 0, "scheduled_tasks": 1}
        huey.wait("pending_tasks", lambda details: done.items() <= details.items())


@pytest.mark.parametrize(
    ("kind", "task_queue"),
    [("PriorityRedisHuey", "healthy"), ("SqliteHuey", "skipped"), ("MemoryHuey", "skipped")],
)
def test_huey_other_storages(redis: Redis, tmp_path: Path, kind: str, task_queue: str) -> None:
    connection = {"url": redis.url_for(8)} if "Redis" in kind else {}
    if kind == "SqliteHuey":
        connection["filename"] = str(tmp_path / "huey.db")
    with project(tmp_path, None, huey_class=f"huey.{kind}", connection=connection) as huey:
        huey.do(SEND)
        results = huey.checks()
    assert results["task_queue"]["status"] == task_queue, results
    if kind == "MemoryHuey":
        assert results["pending_tasks"]["status"] == "skipped"
        assert "memory" in results["pending_tasks"]["message"]
    else:
        details = results["pending_tasks"]["details"]
        assert (details["total_pending"], details["scheduled_tasks"]) == (4, 0)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
@pytest.mark.parametrize(
    ("kind", "zone", "utc"),
    [
        ("RedisHuey", "America/New_York", True),
        ("RedisHuey", "Asia/Tokyo", False),
        ("SqliteHuey", "Asia/Tokyo", True),
        ("FileHuey", "America/New_York", True),
    ],
)
def test_huey_overdue_until_a_consumer_runs(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...], kind: str, zone: str, utc: bool
) -> None:
    connection = {
        "RedisHuey": {"url": redis.url_for(8)},
        "SqliteHuey": {"filename": str(tmp_path / "huey.db")},
        # Its lock of a file, in older releases, loses that of another thread: a consumer waits for itself for ever.
        "FileHuey": {"path": str(tmp_path / "huey"), "use_thread_lock": True},
    }[kind]
    options = {"huey_class": f"huey.{kind}", "connection": connection, "utc": utc}
    with project(tmp_path, install(*release), zone, **options) as huey:
        assert huey.checks("pending_tasks")["pending_tasks"]["status"] == "healthy"
        huey.do(SCHEDULE)
        pending = huey.checks("pending_tasks")["pending_tasks"]
        assert pending["status"] == "degraded", pending
        assert "2 schedules are overdue" in pending["message"]
        assert (pending["details"]["scheduled_tasks"], pending["details"]["overdue_schedules"]) == (1, 2)
        huey.start("-c", CONSUMER)
        done = {"total_pending": 0, "scheduled_tasks": 1, "overdue_schedules": 0}
        pending = huey.wait("pending_tasks", lambda details: done.items() <= details.items())
        assert pending["status"] == "healthy"


def test_huey_at_once_is_skipped(tmp_path: Path) -> None:
    with project(tmp_path, None, immediate=True) as huey:
        assert {result["status"] for result in huey.checks().values()} == {"skipped"}


def project(folder: Path, release: Path | None, zone: str = "UTC", **options: Any) -> QueueProject:
    settings = {
        "TIME_ZONE": zone,
        "INSTALLED_APPS": ["huey.contrib.djhuey"],
        "HUEY": {"name": NAME, "immediate": False, "consumer": {"workers": 1}, **options},
    }
    return QueueProject(folder, settings, {"jobs": TASKS}, release)
