"""Celery on RabbitMQ and on SQS, with the oldest supported releases and the installed ones; flow by kept results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.django.queues.test_celery_redis import APP, WORKER
from tests.services import Postgres, RabbitMq
from tests.services.sqs import FakeSqs

pytest.importorskip("celery")
pytestmark = pytest.mark.services

OLDEST = ("celery==5.3.6", "kombu==5.3.7", "django-celery-results==2.5.1")
RELEASES = [(), OLDEST]
SEND = """
import project
for _ in range(3):
    project.quick.delay()
"""
MIGRATE = "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_rabbitmq_from_empty_to_a_pool_that_stands_still(
    rabbitmq: RabbitMq, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    settings = {
        "CELERY_BROKER_URL": rabbitmq.url(rabbitmq.new_vhost()),
        "LIFESIGNS": {"CHECKS": {"task_workers": {"stalled_after_seconds": 1.5}}},
    }
    with QueueProject(tmp_path, settings, {"project": APP}, install(*release)) as project:
        project.do(SEND)
        results = project.checks()
        assert [results[name]["status"] for name in results] == ["healthy", "healthy", "skipped", "error"], results
        assert results["pending_tasks"]["details"]["queue_breakdown"] == {"celery": 3}
        project.start(*WORKER)
        project.wait("pending_tasks", lambda details: details["total_pending"] == 0)
        workers = project.wait("task_workers", lambda details: details.get("active_workers") == 1)
        assert workers["details"]["consumers"] == {"celery": 1}
        project.do("import project; [project.hang.delay() for _ in range(3)]")
        workers = project.wait("task_workers", lambda details: "stalled_workers" in details)
        assert (workers["status"], workers["details"]["running_tasks"]) == ("degraded", 2)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
def test_sqs_depth(tmp_path: Path, install: Install, release: tuple[str, ...]) -> None:
    pytest.importorskip("boto3")
    with FakeSqs() as sqs:
        settings = {
            "CELERY_BROKER_URL": f"sqs://AKIDEXAMPLE:hunter2secretkey@{sqs.host}:{sqs.port}",
            "CELERY_BROKER_TRANSPORT_OPTIONS": {"region": "eu-central-1", "is_secure": False},
        }
        with QueueProject(tmp_path, settings, {"project": APP}, install(*release)) as project:
            project.do(SEND)
            sqs.queues["celery"][1].append("taken")
            results = project.checks()
            assert [results[name]["status"] for name in results] == ["healthy", "healthy", "skipped", "skipped"], (
                results
            )
            details = results["pending_tasks"]["details"]
            assert (details["queue_breakdown"], details["taken_tasks"]) == ({"celery": 3}, 1)


def shows_flow(details: dict[str, Any]) -> bool:
    """Whether there was time left, after the tasks were counted, to count those that have finished."""
    return "finished_per_minute" in details


@pytest.mark.parametrize(("broker", "release"), [("redis", ()), ("rabbitmq", ()), ("rabbitmq", OLDEST)])
def test_flow_and_failures_of_tasks_whose_results_are_in_postgresql(
    broker_url: str,
    postgres: Postgres,
    tmp_path: Path,
    install: Install,
    broker: str,
    release: tuple[str, ...],
) -> None:
    pytest.importorskip("django_celery_results")
    name = f"flow_{broker}_{'oldest' if release else 'newest'}"
    postgres.sql(f"CREATE DATABASE {name} OWNER app TEMPLATE template0")
    settings: dict[str, Any] = {
        "USE_TZ": True,
        "DATABASES": {"default": {**postgres.database(engine="django.db.backends.postgresql"), "NAME": name}},
        "INSTALLED_APPS": ["django_celery_results"],
        "CELERY_BROKER_URL": broker_url,
        "CELERY_RESULT_BACKEND": "django-db",
    }
    with QueueProject(tmp_path, settings, {"project": APP}, install(*release)) as project:
        project.do(MIGRATE + SEND)
        details = project.wait("pending_tasks", shows_flow)["details"]
        assert (details["total_pending"], details["finished_per_minute"]) == (3, 0.0)
        assert details["expected_wait_seconds"] is None
        worker = project.start(*WORKER)
        project.wait("pending_tasks", lambda details: details["finished_per_minute"] == 0.6)
        project.do("import project; project.fail.delay()")
        failed = project.wait("failed_tasks", lambda details: details["failed_count_last_hour"] == 1)
        assert failed["status"] == "healthy", failed
        project.kill(worker)
        project.do("import project; project.quick.delay()")
        details = project.wait("pending_tasks", shows_flow)["details"]
        assert (details["total_pending"], details["expected_wait_seconds"]) == (1, 75.0)
