"""Celery on Amazon SQS: depth through the project's own kombu and boto3; its workers cannot answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json, sqlite
from tests.services.sqs import FakeSqs, SqsError

pytest.importorskip("celery")
pytest.importorskip("boto3")

SECRET = "hunter2secretkey"
CHECK = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["task_queue", "pending_tasks", "task_workers"], refresh=True)["checks"]))
"""
SEND = """
from celery import Celery
app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
for _ in range(3):
    app.send_task("anything")
print("{}")
"""


@pytest.fixture
def sqs() -> Iterator[FakeSqs]:
    with FakeSqs() as fake:
        yield fake


def project(folder: Path, sqs: FakeSqs, **options: Any) -> dict[str, Any]:
    return {
        "DATABASES": sqlite(folder),
        "CELERY_BROKER_URL": f"sqs://AKIDEXAMPLE:{SECRET}@{sqs.host}:{sqs.port}",
        "CELERY_BROKER_TRANSPORT_OPTIONS": {"region": "eu-central-1", "is_secure": False, **options},
        "LIFESIGNS": {"SHOW_DETAILS": "always", "CHECKS": {}},
    }


def found(folder: Path, settings: dict[str, Any]) -> Any:
    checks = run_json(folder, settings, CHECK)
    assert SECRET not in str(checks)
    return checks


def test_sqs_depth_of_what_celery_has_sent(sqs: FakeSqs, tmp_path: Path) -> None:
    settings = project(tmp_path, sqs)
    run_json(tmp_path, settings, SEND)
    sqs.queues["celery"][1].extend(["taken", "taken"])
    checks = found(tmp_path, settings)
    assert checks["task_queue"]["status"] == "healthy", checks["task_queue"]
    assert checks["task_queue"]["details"]["backend"] == "celery (sqs)"
    assert checks["pending_tasks"]["status"] == "healthy", checks["pending_tasks"]
    details = checks["pending_tasks"]["details"]
    assert (details["total_pending"], details["taken_tasks"], details["queue_breakdown"]) == (3, 2, {"celery": 3})
    assert checks["task_workers"]["status"] == "skipped"
    assert "sqs" in checks["task_workers"]["message"]


def test_sqs_predefined_queues_are_not_listed(sqs: FakeSqs, tmp_path: Path) -> None:
    sqs.queues["celery"] = (["x"] * 101, [])
    predefined = {"celery": {"url": sqs.queue_url("celery"), "region": "eu-central-1"}}
    checks = found(tmp_path, project(tmp_path, sqs, predefined_queues=predefined))
    assert checks["pending_tasks"]["status"] == "degraded", checks["pending_tasks"]
    assert sqs.calls.keys() == {"GetQueueAttributes"}


def test_sqs_queue_prefix(sqs: FakeSqs, tmp_path: Path) -> None:
    sqs.queues["shop-celery"] = (["x"], [])
    checks = found(tmp_path, project(tmp_path, sqs, queue_name_prefix="shop-"))
    assert checks["pending_tasks"]["details"]["total_pending"] == 1, checks["pending_tasks"]


def test_sqs_queue_that_does_not_exist(sqs: FakeSqs, tmp_path: Path) -> None:
    checks = found(tmp_path, project(tmp_path, sqs))
    assert (checks["task_queue"]["status"], "celery" in checks["task_queue"]["message"]) == ("error", True)
    assert "CreateQueue" not in sqs.calls


def test_sqs_refusal_in_our_words(sqs: FakeSqs, tmp_path: Path) -> None:
    sqs.failure = SqsError("AccessDeniedException", 403)
    checks = found(tmp_path, project(tmp_path, sqs))
    assert checks["task_queue"]["status"] == "error"
    assert checks["task_queue"]["message"] == "SQS refused the request: AccessDeniedException (HTTP status 403)"


def test_sqs_that_is_gone(sqs: FakeSqs, tmp_path: Path) -> None:
    settings = project(tmp_path, sqs)
    sqs.__exit__()
    checks = found(tmp_path, settings)
    sqs.__enter__()
    assert checks["task_queue"]["message"] == "SQS cannot be reached (EndpointConnectionError)"


def test_sqs_looks_are_rare(discovered: Any) -> None:
    checks, problems = discovered(CELERY_BROKER_URL="sqs://")
    assert problems == []
    assert {checks[name].options["ttl"] for name in ("task_queue", "pending_tasks")} == {300}
    lifesigns = {"CHECKS": {"pending_tasks": {"ttl": 60}}}
    checks, _ = discovered(CELERY_BROKER_URL="sqs://", LIFESIGNS=lifesigns)
    assert (checks["pending_tasks"].options["ttl"], checks["task_queue"].options["ttl"]) == (60, 300)
