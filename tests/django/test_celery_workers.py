"""Celery's workers as its broker and their answers show them: busy, hanging, with tasks that they have taken."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from django_lifesigns.checks import celery_workers
from django_lifesigns.checks.celery_broker import wait_in_short_steps
from django_lifesigns.checks.celery_workers import CeleryWorkers, Observation
from django_lifesigns.targets.queues.celery import checks_of_celery, unknown_of_celery
from tests.django.projects import run_json
from tests.django.test_celery import Project
from tests.services import Redis, wait_until
from tests.services.processes import kill

pytest.importorskip("celery")

CHECK = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["pending_tasks", "task_workers"], refresh=True)["checks"]))
"""
DURATIONS = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps([get_engine().check("task_workers", refresh=True)["duration_ms"] for _ in range(4)]))
"""
BUSY = "from project import busy; [busy.apply_async(countdown=c or None) for c in {countdowns}]"


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
        process.wait(60)


def send(project: Project, *countdowns: float) -> None:
    project.run_until_done(BUSY.format(countdowns=list(countdowns)))


def found(project: Project) -> Any:
    return run_json(project.folder, project.settings, CHECK)


def test_worker__none(project: Project) -> None:
    assert found(project)["task_workers"]["status"] == "error"


def test_worker__that_answers_is_within_the_response_time(project: Project) -> None:
    with worker(project):
        durations = run_json(project.folder, project.settings, DURATIONS)
    # From 1,000 ms on a check is degraded, but for the first run of a process.
    assert min(durations[1:]) < 950, durations


class Denied(Exception):
    """What redis-py raises where an ACL forbids a command."""


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [({"redis_version": "5.0.14"}, 1), ({"redis_version": "10.1"}, 0.1), ({}, 0.1), (Denied(), 0.1)],
)
def test_steps_of_waiting__by_the_version_of_redis(answer: Any, seconds: float) -> None:
    def info(_section: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    channel = SimpleNamespace(brpop_timeout=1, conn_or_acquire=lambda: nullcontext(SimpleNamespace(info=info)))
    transport = SimpleNamespace(driver_type="redis")
    wait_in_short_steps(SimpleNamespace(transport=transport, default_channel=channel, channel_errors=(Denied,)))
    assert channel.brpop_timeout == seconds


def test_worker__of_one_process_is_busy_and_not_dead(project: Project) -> None:
    project.settings["LIFESIGNS"]["CELERY_SIGNALS"] = False
    with worker(project, "--pool", "solo"):
        assert found(project)["task_workers"]["status"] == "healthy"
        send(project, 0, 0, 0)
        wait_until(lambda: "received" in project.log(), 60, project.log())
        result = found(project)["task_workers"]
    assert (result["status"], "busy" in result["message"]) == ("skipped", True), result


@pytest.mark.parametrize(("pool", "task"), [("solo", "busy"), ("gevent", "block")])
def test_worker__that_is_busy_is_known_by_its_heartbeats(project: Project, pool: str, task: str) -> None:
    if pool == "gevent":
        pytest.importorskip("gevent")
    results: list[Any] = []

    def is_busy() -> bool:
        # The first may be that of a run which the worker itself had begun before its task.
        results.append(found(project)["task_workers"])
        return "busy" in results[-1]["message"]

    with worker(project, "--pool", pool, "--hostname", f"{pool}@here"):
        # It is busy for longer than the check's process takes to start, on any machine; it is killed then.
        project.run_until_done(f"from project import {task}; [{task}.delay() for _ in range(20)]")
        wait_until(lambda: "received" in project.log(), 60, project.log())
        wait_until(is_busy, 90)
    assert {result["status"] for result in results} == {"healthy"}, results
    message = r"1 of 1 expected workers are alive: 0 answered, 1 busy or stopped, last heartbeat \d+ s ago"
    assert re.fullmatch(message, results[-1]["message"]), results
    assert results[-1]["details"]["active_workers"] == results[-1]["details"]["busy_workers"] == 1
    # It is gone, and the broker knows that there is none. However often that is seen, it may be a deploy.
    results = [found(project)["task_workers"] for _ in range(4)]
    assert {result["status"] for result in results} == {"degraded"}, results
    assert re.search(r"one was seen \d+ s ago: an error after 300 s", results[-1]["message"]), results


@pytest.mark.parametrize(
    ("ages", "answered", "expected", "status", "message"),
    [
        (
            {"a_h": 8.2},
            [],
            1,
            "healthy",
            "1 of 1 expected workers are alive: 0 answered, 1 busy or stopped, last heartbeat 8 s ago",
        ),
        ({"a_h": 8.2, "b_h": 1}, ["b@h"], 2, "healthy", "2 of 2 .* 1 answered, 1 busy or stopped, last heartbeat 8"),
        ({"a_h": 301}, [], 1, "skipped", "No worker answered within 0.6 s, but some are connected"),
        ({"a_h": 301}, ["b@h"], 2, "degraded", "1 of 2 expected workers answered"),
        ({"a_h": 2}, ["b@other"], 1, "healthy", "1 of 1 expected workers answered"),
        ({}, ["b@h"], 1, "healthy", "1 of 1 expected workers answered"),
    ],
)
def test_workers__that_do_not_answer(
    monkeypatch: pytest.MonkeyPatch, ages: Any, answered: list[str], expected: int, status: str, message: str
) -> None:
    answers: dict[str, Any] = {name: [] for name in answered}
    observation = Observation(answers=answers, may_be_busy=True, unserved={}, stalled={})
    monkeypatch.setattr(celery_workers, "is_configured", lambda: True)
    monkeypatch.setattr(celery_workers, "with_broker", lambda _: observation)
    monkeypatch.setattr(celery_workers, "heartbeats", lambda: ages)
    monkeypatch.setattr(celery_workers, "note_workers", lambda *_: None)
    result = CeleryWorkers(expected_workers=expected)()
    assert (result["status"], bool(re.match(message, str(result["message"])))) == (status, True), result
    # No worker is alive that the broker does not know; it may have stopped for a deploy.
    if not answered:
        gone = Observation(answers={}, may_be_busy=False, unserved={"celery": 3, "mail": 0}, stalled={})
        monkeypatch.setattr(celery_workers, "with_broker", lambda _: gone)
        in_deploy = ages["a_h"] < 300
        result = CeleryWorkers(expected_workers=expected)()
        assert result["status"] == ("degraded" if in_deploy else "error")
        assert str(result["message"]).endswith("; no worker consumes celery, where 3 messages wait")


@pytest.mark.parametrize(
    ("ages", "status", "message"),
    [
        (
            {"a_h": 299.0, "b_h": 301},
            "healthy",
            "1 of 1 expected workers of this host sent a heartbeat in the last 5 min",
        ),
        ({"a_h": 301.0}, "error", "0 of 1 expected workers of this host"),
        ({}, "skipped", "Celery's workers cannot be pinged through a broker of the kind sqs, and none of this host"),
    ],
)
def test_workers__that_cannot_be_pinged(settings: Any, ages: Any, status: str, message: str) -> None:
    settings.CELERY_BROKER_URL = "sqs://"
    settings.LIFESIGNS = {"CELERY_SIGNALS": True}
    assert "task_workers" not in unknown_of_celery()
    check: Any = checks_of_celery({})["task_workers"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(celery_workers, "is_configured", lambda: True)
        patch.setattr(celery_workers, "heartbeats", lambda: ages)
        result = check()
    assert (result["status"], str(result["message"]).startswith(message)) == (status, True), result
    settings.LIFESIGNS = {}
    assert "set LIFESIGNS['CELERY_SIGNALS']" in unknown_of_celery()["task_workers"]


def test_heartbeats__of_workers_by_the_names_of_their_nodes() -> None:
    from lifesigns.celery import WORKERS, _send_heartbeat, node_name

    node = f"media@{'h' * 200}.example"
    _send_heartbeat(SimpleNamespace(eventer=SimpleNamespace(hostname=node)))
    assert 0 <= celery_workers.heartbeats()[node_name(node)] < 20
    assert len(WORKERS + node_name(node)) == 100


def test_worker__shows_what_hangs_in_its_pool(project: Project) -> None:
    def is_shown() -> bool:
        result = found(project)["task_workers"]
        assert result["status"] == "healthy"
        # One of a pool that runs one at a time, however long it takes on this machine to look.
        details = result["details"]
        return bool(details["running_tasks"] == 1 and details["oldest_running_seconds"] >= 1)

    with worker(project, "--pool", "prefork", "--concurrency", "1"):
        send(project, 0, 0, 0)
        wait_until(lambda: "received" in project.log(), 60, project.log())
        wait_until(is_shown, 60, project.log())


def test_pending__beside_what_is_taken(project: Project) -> None:
    with worker(project, "--pool", "solo", "--prefetch-multiplier", "4"):
        send(project, 3600, 3600, 3600)
        wait_until(lambda: project.log().count("received") >= 3, 60, project.log())
        details = found(project)["pending_tasks"]["details"]
    assert (details["total_pending"], details["unacked_count"]) == (0, 3), json.dumps(details)
    assert 0 <= details["oldest_unacked_seconds"] < 60
