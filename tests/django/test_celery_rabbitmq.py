"""Celery on RabbitMQ: depth and consumers natively, and workers that are busy, gone or on another queue."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.checks.celery_broker import QueueState
from django_lifesigns.checks.celery_rabbitmq import CeleryRabbitWorkers, judge
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.targets.queues.celery_queues import routed
from lifesigns import specs
from tests import services
from tests.django.projects import run_json
from tests.django.test_celery import Project
from tests.django.test_celery_workers import send, worker
from tests.servers import misbehaving
from tests.services import wait_until
from tests.services.rabbitmq import PASSWORD

pytest.importorskip("celery")

CHECK = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["task_queue", "pending_tasks", "task_workers"], refresh=True)["checks"]))
"""


@pytest.fixture
def project(rabbitmq: services.RabbitMq, tmp_path: Path) -> Project:
    return Project(tmp_path, rabbitmq.url(rabbitmq.new_vhost()))


def found(project: Project) -> Any:
    checks = run_json(project.folder, project.settings, CHECK)
    assert PASSWORD not in str(checks)
    return checks


# --- from the settings ---------------------------------------------------------------------------------------------


def server(**fields: Any) -> specs.AmqpServer:
    return specs.AmqpServer(**{"host": "h", **fields})


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("amqp://", [server(host="localhost")]),
        ("amqp://h//", [server(vhost="/")]),
        ("amqp://h/%2F", [server(vhost="/")]),
        ("pyamqp://u:p%40%2F%23@h:5673/shop", [server(port=5673, username="u", password="p@/#", vhost="shop")]),
        ("amqp://u:p?:;@h", None),
        ("amqp://a;amqp://u:p@b", [server(host="a"), server(host="b", username="u", password="p")]),
        (["amqp://a", "redis://b"], [server(host="a")]),
        (["amqp://a", "amqp://b"], [server(host="a"), server(host="b")]),
        ("amqps://h", [server(tls=specs.Tls(verify="chain"))]),
        ("amqp://[::1]:5673", [server(host="::1", port=5673)]),
    ],
)
def test_celery_brokers(discovered: Any, url: Any, servers: list[specs.AmqpServer] | None) -> None:
    checks, problems = discovered(CELERY_BROKER_URL=url)
    if servers is None:
        assert isinstance(checks["task_queue"].check, (FixedResult, specs.Amqp))
        return
    assert problems == []
    assert checks["pending_tasks"].check == specs.AmqpPendingTasks(servers=servers, queues=("celery",))
    broker = checks["task_queue"].check
    assert (broker.host, broker.username, broker.publish) == (servers[0].host, servers[0].username, True)
    assert broker.fallbacks == (servers[1:] or None)
    assert checks["task_workers"].check == CeleryRabbitWorkers(queues=("celery",))


@pytest.mark.parametrize(
    ("options", "tls"),
    [
        (True, specs.Tls(verify="chain")),
        (False, None),
        ({}, None),
        ({"ca_certs": "/ca"}, specs.Tls(verify="chain", ca="/ca")),
        ({"ca_certs": "/ca", "server_hostname": None}, specs.Tls(verify="full", ca="/ca")),
        ({"ca_certs": "/ca", "server_hostname": "h"}, specs.Tls(verify="full", ca="/ca")),
        ({"server_hostname": "other"}, specs.Tls(verify="chain")),
        (
            {"cert_reqs": ssl.CERT_NONE, "certfile": "/c", "keyfile": "/k"},
            specs.Tls(verify="nothing", cert="/c", key="/k"),
        ),
    ],
)
def test_celery_broker_use_ssl(discovered: Any, options: Any, tls: specs.Tls | None) -> None:
    checks, problems = discovered(CELERY_BROKER_URL="amqp://h", CELERY_BROKER_USE_SSL=options)
    assert problems == []
    assert checks["task_queue"].check.tls == tls


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"CELERY_BROKER_URL": "amqp://u:hunter2@h:port"}, "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_LOGIN_METHOD": "GSSAPI"}, "CELERY_BROKER_LOGIN_METHOD"),
    ],
)
def test_celery_wrong_settings(discovered: Any, given: Any, named: str) -> None:
    checks, problems = discovered(**{"CELERY_BROKER_URL": "amqp://h", **given})
    assert problems[0].message.startswith(named)
    assert "hunter2" not in str(problems)
    assert isinstance(checks["task_queue"].check, FixedResult)


def test_celery_without_remote_control(discovered: Any) -> None:
    checks, _ = discovered(CELERY_BROKER_URL="amqp://h", CELERY_WORKER_ENABLE_REMOTE_CONTROL=False)
    assert checks["task_workers"].check == CeleryRabbitWorkers(queues=("celery",), remote_control=False)


@pytest.mark.parametrize(
    ("routes", "queues"),
    [
        (None, []),
        ({"a.*": {"queue": "mail"}, "b": "fast", "c": {"exchange": "x"}}, ["mail", "fast"]),
        ([{"a": {"queue": "mail"}}, ("b", {"queue": "fast"}), lambda *_: None], ["mail", "fast"]),
        (([("a", {"queue": "mail"}), ("b.*", "fast")],), ["mail", "fast"]),
        ("module.router", []),
        (("module.router", "module.other"), []),
    ],
)
def test_celery_routed_queues(routes: Any, queues: list[str]) -> None:
    assert list(routed(routes)) == queues


def states(**counts: tuple[int, int]) -> dict[str, QueueState]:
    return {name: QueueState(messages=messages, consumers=consumers) for name, (messages, consumers) in counts.items()}


@pytest.mark.parametrize(
    ("answered", "queues", "expected", "status", "said"),
    [
        (1, {"a": (0, 1)}, 1, "healthy", "1 of 1 expected workers answered"),
        (0, {"a": (9, 1)}, 1, "healthy", "busy"),
        (None, {"a": (9, 2)}, 2, "healthy", "2 of 2 expected workers are connected"),
        (0, {"a": (9, 1), "b": (0, 1)}, 2, "degraded", "1 of 2"),
        (1, {"a": (0, 1), "b": (5, 0)}, 1, "degraded", "no worker consumes b, where 5 messages wait"),
        (1, {"a": (0, 1), "b": (0, 0)}, 1, "healthy", "1 of 1"),
        (0, {"a": (5, 0)}, 1, "error", "0 of 1"),
        (0, {"a": (0, 0)}, 1, "error", "0 of 1"),
        (0, {}, 1, "error", "0 of 1"),
        (0, {"a": (5, 0)}, 0, "healthy", "0 of 0"),
        (2, {"a": (5, 0)}, 1, "degraded", "no worker consumes a"),
    ],
)
def test_workers_judged(
    answered: int | None, queues: dict[str, tuple[int, int]], expected: int, status: str, said: str
) -> None:
    result = judge(answered, states(**queues), expected, {})
    assert (result["status"], said in str(result["message"])) == (status, True), result


# --- with a real broker and workers --------------------------------------------------------------------------------


def test_celery_without_worker(project: Project) -> None:
    send(project, 0, 0)
    checks = found(project)
    assert checks["task_queue"]["status"] == "healthy", checks["task_queue"]
    assert checks["task_queue"]["details"]["backend"] == "celery (amqp)"
    assert checks["pending_tasks"]["details"]["queue_breakdown"] == {"celery": 2}
    assert checks["task_workers"]["status"] == "error", checks["task_workers"]
    assert "no worker consumes celery, where 2 messages wait" in checks["task_workers"]["message"]


def test_celery_busy_worker_is_connected(project: Project) -> None:
    with worker(project, "--pool", "solo"):
        idle = found(project)["task_workers"]
        assert (idle["status"], idle["details"]["consumers"]) == ("healthy", {"celery": 1}), idle
        send(project, 0, 0, 0)
        wait_until(lambda: "received" in project.log(), 60, project.log())
        busy = found(project)["task_workers"]
    assert (busy["status"], "busy" in busy["message"]) == ("healthy", True), busy


def test_celery_shows_what_hangs_in_its_pool(project: Project) -> None:
    with worker(project, "--pool", "prefork", "--concurrency", "1"):
        # One after the other, for 8 s each.
        send(project, 0, 0, 0, 0)
        wait_until(lambda: "received" in project.log(), 60, project.log())
        results: list[Any] = []

        def has_run_for_a_second() -> bool:
            results.append(found(project)["task_workers"])
            oldest = results[-1].get("details", {}).get("oldest_running_seconds")
            return bool(oldest is not None and oldest >= 1)

        wait_until(has_run_for_a_second, 60, project.log())
    assert (results[-1]["status"], results[-1]["details"]["running_tasks"]) == ("healthy", 1), results


def test_celery_broker_that_is_down_is_named(tmp_path: Path) -> None:
    port = misbehaving.refused_port()
    checks = found(Project(tmp_path, f"amqp://u:hunter2@127.0.0.1:{port}"))
    assert checks["task_queue"]["message"] == f"127.0.0.1:{port} refused the connection"
    assert checks["pending_tasks"]["blocked_by"] == checks["task_workers"]["blocked_by"] == "task_queue"
    program = """
import json
from django_lifesigns.checks.celery_rabbitmq import CeleryRabbitWorkers
from lifesigns import CheckFailed
try:
    CeleryRabbitWorkers(queues=("celery",))()
except CheckFailed as error:
    print(json.dumps(str(error)))
"""
    project = Project(tmp_path, f"amqp://u:hunter2@127.0.0.1:{port}")
    said = run_json(tmp_path, project.settings, program)
    assert said == f"127.0.0.1:{port} cannot be reached (ConnectionRefusedError)"
