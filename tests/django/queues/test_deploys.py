"""Workers that are stopped and started again, as in a deploy: there is none for a while, and that is no error."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.project import QueueProject
from tests.django.queues.test_celery_redis import APP, WORKER
from tests.django.queues.test_rq import JOBS
from tests.services import Redis, wait_until

pytestmark = pytest.mark.services


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Stop in order, as a supervisor does."""
    worker.terminate()
    worker.wait(60)


def deploy(folder: Path, settings: Mapping[str, Any], modules: Mapping[str, str], ready: str, *command: str) -> None:
    """Restart a worker, which logs `ready`, and look at it more often than any probe would."""

    def has(active: int) -> Callable[[Any], bool]:
        return lambda details: details.get("active_workers") == active

    with QueueProject(folder, settings, modules) as project:
        project.do(f"import {', '.join(modules)}")
        worker = project.start(*command)
        project.wait("task_workers", has(1))
        # Before that it has no handler of the signal.
        wait_until(lambda: ready in project.log(), 60, project.log())
        stop(worker)
        looks = [project.wait("task_workers", has(0))]
        looks += [project.checks("task_workers")["task_workers"] for _ in range(5)]
        # Of the same host, and started since: it has seen no worker itself.
        with QueueProject(folder, settings, modules) as other:
            looks.append(other.checks("task_workers")["task_workers"])
        assert {look["status"] for look in looks} == {"degraded"}, looks
        assert "since a deploy may be under way" in looks[-1]["message"]
        project.start(*command)
        assert project.wait("task_workers", has(1))["status"] == "healthy"


def test_deploy_of_rq(redis: Redis, tmp_path: Path) -> None:
    pytest.importorskip("django_rq")
    settings = {"INSTALLED_APPS": ["django_rq"], "RQ_QUEUES": {"default": {"URL": redis.url_for(8)}}}
    deploy(tmp_path, settings, {"jobs": JOBS}, "istening on", "-m", "django", "rqworker", "default")


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_deploy_of_celery(broker_url: str, tmp_path: Path, broker: str) -> None:
    pytest.importorskip("celery")
    deploy(tmp_path, {"CELERY_BROKER_URL": broker_url}, {"project": APP}, "[queues]", *WORKER)
