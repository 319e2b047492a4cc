"""From the settings and clients of task queues on Redis to the server and the queues that are measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.settings.problems import import_failure
from django_lifesigns.targets.queues.redis_client import server_of, server_of_pool
from lifesigns import specs

SENTINELS = {"CELERY_BROKER_TRANSPORT_OPTIONS": {"master_name": "mymaster"}}
PLAIN = specs.RedisServer(url="redis://h:6379/0")


@pytest.fixture
def celery() -> Iterator[None]:
    """No application of another test is the current one."""
    pytest.importorskip("celery")
    from celery import _state

    from django_lifesigns.checks import celery_app

    before = _state._tls.current_app, _state.default_app
    _state._tls.current_app = _state.default_app = None
    celery_app._of_settings.cache_clear()
    yield
    celery_app._of_settings.cache_clear()
    _state._tls.current_app, _state.default_app = before


def test_package_that_is_missing_is_named(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dramatiq", None)
    error = ModuleNotFoundError("No module named 'dramatiq'", name="dramatiq")
    assert import_failure(error) == "ModuleNotFoundError: no module named 'dramatiq'"
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": "dramatiq"})
    message = "LIFESIGNS['TASK_QUEUE'] cannot be read (ModuleNotFoundError: no module named 'dramatiq')"
    assert [problem.message for problem in problems] == [message]
    assert found["task_queue"].check == FixedResult("error", message)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://h", PLAIN),
        ("redis://h:6380/3", specs.RedisServer(url="redis://h:6380/3")),
        ("redis://:pa%3Bss%2F%25@h/1", specs.RedisServer(url="redis://h:6379/1", password="pa;ss/%")),
        ("redis://us%40er:p@h", specs.RedisServer(url="redis://h:6379/0", username="us@er", password="p")),
        ("redis://[::1]:6380/0", specs.RedisServer(url="redis://[::1]:6380/0")),
        ("redis+socket:///run/redis.sock", specs.RedisServer(url="unix:///run/redis.sock?db=0")),
        ("redis+socket:///run/redis.sock?virtual_host=5", specs.RedisServer(url="unix:///run/redis.sock?db=5")),
        ("rediss://h", specs.RedisServer(url="rediss://h:6379/0", tls=specs.Tls(verify="nothing"))),
        (
            "rediss://h/2?ssl_cert_reqs=required&ssl_ca_certs=/ca",
            specs.RedisServer(url="rediss://h:6379/2", tls=specs.Tls(verify="full", ca="/ca")),
        ),
    ],
)
def test_celery_url(celery: None, discovered: Any, url: str, server: specs.RedisServer) -> None:
    found, problems = discovered(CELERY_BROKER_URL=url)
    assert problems == []
    assert found["task_queue"].check == specs.RedisTaskBroker(server=server, backend="celery (redis)")


@pytest.mark.parametrize("urls", ["redis://a;redis://b:1/2", ["redis://a", "redis://b:1/2"]])
def test_celery_several_urls(celery: None, discovered: Any, urls: Any) -> None:
    found, problems = discovered(CELERY_BROKER_URL=urls)
    assert problems == []
    check = found["pending_tasks"].check
    assert check.server == specs.RedisServer(url="redis://a:6379/0")
    assert check.alternatives == [specs.RedisServer(url="redis://b:1/2")]


def test_celery_sentinels(celery: None, discovered: Any) -> None:
    options = {"master_name": "mymaster", "sentinel_kwargs": {"password": "s"}}
    url = "sentinel://:p@a:1;sentinel://:p@b/4"
    found, problems = discovered(CELERY_BROKER_URL=url, CELERY_BROKER_TRANSPORT_OPTIONS=options)
    assert problems == []
    assert found["task_queue"].check.server == specs.RedisServer(
        url="redis:///0",
        password="p",
        sentinels=["a:1", "b:26379"],
        master="mymaster",
        sentinel_password="s",
        sentinel_encrypted=False,
    )


def test_celery_sentinels_without_the_name_of_the_master(celery: None, discovered: Any) -> None:
    found, [problem, *_] = discovered(CELERY_BROKER_URL="sentinel://:hunter2@a")
    assert isinstance(found["task_queue"].check, FixedResult)
    assert "master_name" in problem.message
    assert "hunter2" not in str(problem)


def test_celery_database_that_is_no_number(celery: None, discovered: Any) -> None:
    found, [problem, *_] = discovered(CELERY_BROKER_URL="redis://:hunter2@h/celery")
    assert isinstance(found["task_queue"].check, FixedResult)
    assert "number of a database" in problem.message
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("url", ["redis://h/0", "redis+socket:///r"])
def test_celery_password_of_a_provider_is_left_to_celery(celery: None, discovered: Any, url: str) -> None:
    from django_lifesigns.checks.celery import CeleryPending

    found, problems = discovered(CELERY_BROKER_URL=f"{url}?credential_provider=project.Provider")
    assert problems == []
    assert found["pending_tasks"].check == CeleryPending()


def test_celery_queues_of_the_settings(celery: None, discovered: Any) -> None:
    queue = pytest.importorskip("kombu").Queue
    found, problems = discovered(
        CELERY_BROKER_URL="redis://h",
        CELERY_TASK_QUEUES=[queue("mail"), queue("default")],
        CELERY_TASK_ROUTES=(
            {"a.*": {"queue": "feeds"}, "b": "reports", "c": {"routing_key": "x"}},
            [("d.*", {"queue": queue("slow")})],
            "project.Router",
            lambda *_: None,
        ),
        CELERY_BEAT_SCHEDULE={"x": {"task": "t", "schedule": 1, "options": {"queue": "beat"}}, "y": {"task": "t"}},
        CELERY_BROKER_TRANSPORT_OPTIONS={
            "global_keyprefix": "shop:",
            "sep": ":",
            "priority_steps": range(3),
            "unacked_key": "taken",
            "unacked_index_key": "index",
            "visibility_timeout": 3600,
            "queue_order_strategy": "priority",
        },
    )
    assert problems == []
    assert found["pending_tasks"].check == specs.RedisPendingTasks(
        server=PLAIN,
        layout="celery",
        queues=("mail", "default", "feeds", "reports", "slow", "beat"),
        discover=True,
        prefix="shop:",
        separator=":",
        priority_steps=[0, 1, 2],
        unacked_key="taken",
        unacked_index_key="index",
    )


def test_queues_of_the_options_replace_those_that_are_found(celery: None, discovered: Any) -> None:
    lifesigns = {
        "CHECKS": {
            "pending_tasks": {"queues": ["mail"], "discover": False},
            "task_workers": {"stuck_after_seconds": 60},
        }
    }
    found, problems = discovered(CELERY_BROKER_URL="redis://h", LIFESIGNS=lifesigns)
    assert problems == []
    check = found["pending_tasks"].check
    assert (check.queues, check.discover) == (["mail"], False)
    assert found["task_workers"].check.stuck_after_seconds == 60


def test_celery_failures_in_redis_are_not_zero(celery: None, discovered: Any) -> None:
    found, _ = discovered(CELERY_BROKER_URL="redis://h", CELERY_RESULT_BACKEND="redis://h/1")
    assert isinstance(found["failed_tasks"].check, specs.Skipped)


@pytest.mark.parametrize(
    ("queue", "server"),
    [
        ({"HOST": "h", "PORT": 6380, "DB": 2}, specs.RedisServer(url="redis://h:6380/2")),
        (
            {"HOST": "h", "PORT": 1, "USERNAME": "u", "PASSWORD": "p/%", "SSL": True, "SSL_CERT_REQS": None},
            specs.RedisServer(url="rediss://h:1/0", username="u", password="p/%", tls=specs.Tls(verify="nothing")),
        ),
        ({"URL": "redis://u:p%2F@h/3"}, specs.RedisServer(url="redis://h:6379/3", username="u", password="p/")),
        ({"URL": "redis://h", "DB": 3}, specs.RedisServer(url="redis://h:6379/3")),
        ({"UNIX_SOCKET_PATH": "/run/r.sock", "DB": 1}, specs.RedisServer(url="unix:///run/r.sock?db=1")),
        ({"USE_REDIS_CACHE": "default"}, specs.RedisServer(url="redis://cache:6379/1")),
        (
            {"SENTINELS": [("a", 1)], "MASTER_NAME": "m", "DB": 1, "PASSWORD": "p", "SENTINEL_KWARGS": {}},
            specs.RedisServer(url="redis:///1", password="p", sentinels=["a:1"], master="m", sentinel_encrypted=False),
        ),
    ],
)
def test_rq_server(discovered: Any, queue: Any, server: specs.RedisServer) -> None:
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://cache/1"}}
    lifesigns = {"TASK_QUEUE": "rq", "EXPECTED_WORKERS": 2}
    found, problems = discovered(RQ_QUEUES={"mail": queue}, LIFESIGNS=lifesigns, CACHES=caches)
    assert [problem for problem in problems if "RQ" in problem.message] == []
    shared: dict[str, Any] = {"server": server, "layout": "rq", "queues": ("mail",)}
    assert found["pending_tasks"].check == specs.RedisPendingTasks(**shared)
    assert found["failed_tasks"].check == specs.RedisFailedTasks(**shared)
    assert found["task_workers"].check == specs.RedisTaskWorkers(**shared, expected_workers=2)


def test_rq_queues_on_another_server_are_noted(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RQ_KEY_PREFIX", "shop")
    queues = {
        "low": {"URL": "redis://:hunter2@other"},
        "default": {"URL": "redis://h"},
        "high": {"HOST": "h", "PORT": 6379, "DB": 0},
        "now": {"URL": "redis://h", "ASYNC": False},
    }
    found, [problem] = discovered(RQ_QUEUES=queues, LIFESIGNS={"TASK_QUEUE": "rq"})
    assert problem.message == "RQ_QUEUES: low cannot be measured, being on another server than default, high."
    assert (found["pending_tasks"].check.queues, found["pending_tasks"].check.prefix) == (("default", "high"), "shop")


@pytest.mark.parametrize("queues", [None, [], {"default": "redis://h"}])
def test_rq_wrong_settings(discovered: Any, queues: Any) -> None:
    found, [problem] = discovered(RQ_QUEUES=queues, LIFESIGNS={"TASK_QUEUE": "rq"})
    assert problem.message == "RQ_QUEUES must be a dict of dicts, one for each queue"
    assert isinstance(found["task_workers"].check, FixedResult)


@pytest.mark.parametrize(
    ("cluster", "server"),
    [
        ({}, specs.RedisServer(url="redis://localhost:6379/0")),
        ({"redis": "redis://:p@h/1"}, specs.RedisServer(url="redis://h:6379/1", password="p")),
        ({"redis": {"host": "h", "db": 2}}, specs.RedisServer(url="redis://h:6379/2")),
        ({"redis": {"unix_socket_path": "/r"}}, specs.RedisServer(url="unix:///r?db=0")),
        ({"django_redis": "default"}, specs.RedisServer(url="redis://cache:6379/1")),
    ],
)
def test_django_q2_server(discovered: Any, cluster: dict[str, Any], server: specs.RedisServer) -> None:
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://cache/1"}}
    names = {"name": "site", "cluster_name": "short", "ALT_CLUSTERS": {"long": {}}}
    found, problems = discovered(Q_CLUSTER={**names, **cluster}, LIFESIGNS={"TASK_QUEUE": "django-q2"}, CACHES=caches)
    assert [problem for problem in problems if "Q_CLUSTER" in problem.message] == []
    assert found["pending_tasks"].check == specs.RedisPendingTasks(
        server=server, layout="lists", queues=("short", "long"), key="django_q:{queue}:q"
    )


def test_pool_of_redis_py() -> None:
    redis = pytest.importorskip("redis")
    pool = redis.ConnectionPool.from_url("rediss://u:p%2F@h:1/2?ssl_ca_certs=/ca")
    tls = specs.Tls(verify="full", ca="/ca")
    assert server_of_pool(pool) == specs.RedisServer(url="rediss://h:1/2", username="u", password="p/", tls=tls)
    assert server_of_pool(redis.ConnectionPool.from_url("unix:///r?db=3")) == specs.RedisServer(url="unix:///r?db=3")
    sentinel = redis.Sentinel([("a", 1), ("b", 2)], sentinel_kwargs={"password": "s"}, db=1, password="p")
    assert server_of_pool(sentinel.master_for("m").connection_pool) == specs.RedisServer(
        url="redis:///1",
        password="p",
        sentinels=["a:1", "b:2"],
        master="m",
        sentinel_password="s",
        sentinel_encrypted=False,
    )


@pytest.mark.parametrize(("checks", "verify"), [(True, "full"), (False, "chain")])
def test_certificates_as_the_installed_redis_py(monkeypatch: pytest.MonkeyPatch, checks: bool, verify: str) -> None:
    class SSLConnection:
        def __init__(self, ssl_check_hostname: bool = checks) -> None: ...

    monkeypatch.setitem(sys.modules, "redis", SimpleNamespace(SSLConnection=SSLConnection))
    tls = server_of({"host": "h"}, encrypted=True).tls
    assert tls
    assert tls.verify == verify
