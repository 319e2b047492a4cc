"""django-q2 with its ORM broker: two clusters of one site, one of them killed, and a schedule of the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.django.queues_sql.environments import Environments
from tests.django.queues_sql.project import SECONDS, TASKS, QueueProject
from tests.services import wait_until

pytestmark = pytest.mark.services

ENQUEUE = """
from datetime import timedelta
from django.core.management import call_command
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task
call_command("migrate", verbosity=0)
for name in ("add", "add", "fail", "hang", "add", "add"):
    async_task(f"queue_tasks.{name}")
async_task("queue_tasks.add", cluster="other")
now = timezone.now()
for minutes, repeats in [(-60, -1), (-60, 0), (-1, -1), (60, -1)]:
    at = now + timedelta(minutes=minutes)
    Schedule.objects.create(func="queue_tasks.add", cluster="other", next_run=at, repeats=repeats)
"""


@pytest.mark.parametrize(
    ("release", "engine"),
    [("oldest", "postgres"), ("newest", "postgres"), ("newest", "sqlite"), ("newest", "mariadb")],
)
def test_killed_cluster_is_no_error_at_once_and_its_tasks_stay_taken(
    environments: Environments,
    new_database: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    release: str,
    engine: str,
) -> None:
    cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path / "cache")}
    cluster = {
        "name": "site",
        "cluster_name": "shop",
        "orm": "default",
        "workers": 1,
        "timeout": 500,
        "retry": 600,
        "ack_failures": True,
        "max_attempts": 1,
    }
    (tmp_path / "queue_tasks.py").write_text(TASKS)
    python, databases = environments.python(release), {"default": new_database(engine)}
    settings = {"CACHES": {"default": cache}, "Q_CLUSTER": cluster}
    with QueueProject(tmp_path, python, databases, ["django_q"], **settings) as project:
        project.run(ENQUEUE)
        worker = project.worker("qcluster")
        project.wait_until_hanging(worker)
        wait_until(lambda: project.check()["failed_tasks"]["details"]["failed_count_last_hour"] == 1, SECONDS)
        results = project.check()
        details = results["pending_tasks"]["details"]
        assert results["task_queue"]["status"] == "healthy", results
        assert "unavailable" not in details, results
        # The cluster takes tasks before a worker is free.
        assert details["queue_breakdown"]["other"] == 1
        assert details["queue_breakdown"].get("shop", 0) + details["taken_tasks"] == 3, results
        assert details["taken_tasks"] >= 1
        assert 0 <= details["oldest_taken_seconds"] < SECONDS, results
        assert 0 <= details["oldest_pending_seconds"] < SECONDS, results
        assert details["finished_per_minute"] == 0.6
        assert details["overdue_schedules"] == 1
        assert results["pending_tasks"]["status"] == "degraded"
        assert results["pending_tasks"]["message"].endswith("; 1 schedule is overdue")
        assert results["task_workers"]["status"] == "healthy", results
        assert results["task_workers"]["details"]["active_workers"] == 1

        project.kill(worker)
        wait_until(lambda: project.check()["task_workers"]["details"]["active_workers"] == 0, SECONDS)
        workers = project.check()["task_workers"]
        assert workers["status"] == "degraded"
        assert workers["message"].startswith("No worker is registered any more"), workers
        assert project.check()["pending_tasks"]["details"]["taken_tasks"] == details["taken_tasks"]
