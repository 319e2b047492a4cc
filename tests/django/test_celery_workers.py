"""Celery's workers as its broker and their answers show them: busy, hanging, with tasks that they have taken."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json
from tests.django.test_celery import Project
from tests.services import Redis, wait_until
from tests.services.processes import kill

pytest.importorskip("celery")
pytestmark = pytest.mark.services

CHECK = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["pending_tasks", "task_workers"], refresh=True)["checks"]))
"""
BUSY = "from project import busy; [busy.apply_async(countdown=c) for c in {countdowns}]"


@pytest.fixture
def project(redis_server: Redis, tmp_path: Path) -> Project:
    redis_server.command("-n", "6", "FLUSHDB")
    return Project(tmp_path, redis_server.url_for(6))


@contextmanager
def worker(project: Project, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = project.start("-m", "celery", "-A", "project", "worker", "--loglevel", "info", *options)
    try:
        wait_until(lambda: " ready." in project.log(), 40, "the worker is not ready")
        yield process
    finally:
        kill(process.pid)
        process.wait(10)


def send(project: Project, *countdowns: float) -> None:
    assert project.start("-c", BUSY.format(countdowns=list(countdowns))).wait(30) == 0, project.log()


def found(project: Project) -> Any:
    return run_json(project.folder, project.settings, CHECK)


def test_worker__none(project: Project) -> None:
    assert found(project)["task_workers"]["status"] == "error"


def test_worker__of_one_process_is_busy_and_not_dead(project: Project) -> None:
    with worker(project, "--pool", "solo"):
        assert found(project)["task_workers"]["status"] == "healthy"
        send(project, 0, 0, 0)
        wait_until(lambda: "received" in project.log(), 20, project.log())
        result = found(project)["task_workers"]
    assert (result["status"], "busy" in result["message"]) == ("skipped", True), result


def test_worker__shows_what_hangs_in_its_pool(project: Project) -> None:
    with worker(project, "--pool", "prefork", "--concurrency", "1"):
        send(project, 0)
        wait_until(lambda: "received" in project.log(), 20, project.log())
        time.sleep(1)
        result = found(project)["task_workers"]
    assert result["status"] == "healthy"
    assert result["details"]["running_tasks"] == 1
    assert result["details"]["oldest_running_seconds"] >= 1


def test_pending__beside_what_is_taken(project: Project) -> None:
    with worker(project, "--pool", "solo", "--prefetch-multiplier", "4"):
        send(project, 3600, 3600, 3600)
        wait_until(lambda: project.log().count("received") >= 3, 20, project.log())
        details = found(project)["pending_tasks"]["details"]
    assert (details["total_pending"], details["unacked_count"]) == (0, 3), json.dumps(details)
    assert 0 <= details["oldest_unacked_seconds"] < 60
