"""django-q2 with its Redis broker: what waits, fails, and works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.services import Redis

pytest.importorskip("django_q")
pytestmark = pytest.mark.services

JOBS = """
def quick(): pass
def fail(): raise RuntimeError("no")
"""
SEND = """
from django_q.tasks import async_task
async_task("jobs.quick")
async_task("jobs.fail")
"""
RELEASES = [(), ("django-q2==1.6.0", "redis==4.6.0")]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_django_q2_until_its_cluster_is_gone(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    cluster = {"name": "site", "redis": redis.url_for(8), "workers": 2, "timeout": 60, "retry": 120}
    settings = {"INSTALLED_APPS": ["django_q"], "Q_CLUSTER": {**cluster, "ALT_CLUSTERS": {"slow": {}}}}
    with QueueProject(tmp_path, settings, {"jobs": JOBS}, install(*release)) as project:
        project.do("from django.core.management import call_command; call_command('migrate', verbosity=0)")
        results = project.checks()
        assert [results[name]["status"] for name in results] == ["healthy", "healthy", "healthy", "error"], results
        assert results["task_queue"]["details"]["backend"] == "django-q2 (redis)"

        project.do(SEND)
        details = project.checks("pending_tasks")["pending_tasks"]["details"]
        assert details["queue_breakdown"] == {"site": 2, "slow": 0}
        worker = project.start("-m", "django", "qcluster")
        project.wait("pending_tasks", lambda details: details["total_pending"] == 0)
        project.wait("failed_tasks", lambda details: details["failed_count_last_hour"] == 1)
        assert project.wait("task_workers", lambda details: details.get("active_workers") == 2)["status"] == "healthy"
        project.kill(worker)
        # An error once the heartbeat window has passed: a deploy looks the same.
        assert project.wait("task_workers", lambda details: details.get("active_workers") == 0)["status"] == "degraded"
