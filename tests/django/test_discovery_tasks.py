"""From TASK_QUEUE and the installed apps to the checks of the task queue."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connections

from django_lifesigns.checks import celery_workers, django_q, tasks
from django_lifesigns.checks.fixed_result import FixedResult
from lifesigns import specs

POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "app"}
CUSTOM = {
    "backend": "ours",
    "tables": ["job", "job_worker"],
    "pending_sql": "SELECT queue, count(*), min(at) FROM job GROUP BY queue",
    "failed_sql": "SELECT count(*) FROM job WHERE failed AND at >= {since}",
    "workers_sql": "SELECT count(*) FROM job_worker WHERE seen >= {since}",
}
CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an app look installed."""

    def install(*names: str) -> None:
        monkeypatch.setattr("django.apps.apps.is_installed", names.__contains__)

    return install


def test_tasks__default_tables(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    found, problems = discovered(LIFESIGNS={"EXPECTED_WORKERS": 3})
    assert problems == []
    assert found["task_queue"].check == specs.TaskTables(
        server=specs.PostgresServer(dbname="app"),
        backend="background_task",
        tables=("background_task", "background_task_worker"),
        required=False,
    )
    assert found["pending_tasks"].check.tables == ("background_task",)
    assert found["failed_tasks"].check.tables == ("background_task",)
    assert found["task_workers"].check.tables == ("background_task_worker",)
    assert found["task_workers"].check.expected_workers == 3
    assert not any(found[name].check.required for name in CHECKS)


@pytest.mark.parametrize(
    "lifesigns", [{"REQUIRED": list(CHECKS)}, {"TASK_QUEUE": "background_task"}, {"TASK_QUEUE": CUSTOM}]
)
def test_tasks__required(discovered: Any, database: Any, lifesigns: Any) -> None:
    database(**POSTGRESQL)
    found, _ = discovered(LIFESIGNS=lifesigns)
    assert all(found[name].check.required for name in CHECKS)


def test_tasks__custom(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": CUSTOM})
    assert problems == []
    assert found["task_queue"].check.backend == "ours"
    assert found["pending_tasks"].check.sql == CUSTOM["pending_sql"]
    assert found["task_workers"].check.tables == ("job_worker",)


def test_tasks__custom_further_statements(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    further = {
        "pending_tasks": ("scheduled_sql", "taken_sql", "finished_sql", "overdue_sql"),
        "task_workers": ("last_heartbeat_sql", "running_sql", "stuck_sql"),
    }
    queue = {**CUSTOM, **{key: f"SELECT '{key}'" for keys in further.values() for key in keys}}
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": queue})
    assert problems == []
    for name, keys in further.items():
        assert {key: getattr(found[name].check, key) for key in keys} == {key: queue[key] for key in keys}


def test_tasks__custom_without_heartbeats(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    stuck = "SELECT count(*) FROM job WHERE running AND at < {stuck_since}"
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": {"tables": ["job"], "stuck_sql": stuck}})
    assert problems == []
    assert (found["task_workers"].check.sql, found["task_workers"].check.tables) == (None, ("job",))


def test_tasks__custom_in_part(discovered: Any) -> None:
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": {"tables": ["job"]}})
    assert problems == []
    assert found["pending_tasks"].check == specs.Skipped(
        reason="set 'pending_sql' in LIFESIGNS['TASK_QUEUE'] for this check"
    )


def test_tasks__tables_that_are_read(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    queue = {"tables": ["app.job", "job_worker"], "pending_sql": "SELECT q, count(*), min(at) FROM app.job GROUP BY q"}
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": queue})
    assert problems == []
    assert found["pending_tasks"].check.tables == ("app.job",)


def test_tasks__no_tables_named(discovered: Any) -> None:
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": {"pending_sql": "SELECT 'q', 1, NULL"}})
    assert problems == []
    for name in ("task_queue", "pending_tasks"):
        assert found[name].check == specs.Skipped(reason="set 'tables' in LIFESIGNS['TASK_QUEUE'] for this check")


def test_tasks__other_database_engine(discovered: Any) -> None:
    found, problems = discovered()
    assert problems == []
    kinds = [tasks.TaskQueueTables, tasks.PendingTasks, tasks.FailedTasks, tasks.TaskWorkers]
    assert [type(found[name].check) for name in CHECKS] == kinds


@pytest.mark.parametrize(
    ("app", "backend"),
    [
        ("procrastinate.contrib.django", "procrastinate"),
        ("django_tasks_db", "django-tasks"),
        ("django_tasks.backends.database", "django-tasks"),
    ],
)
def test_tasks__preset_of_an_installed_app(
    discovered: Any, database: Any, installed: Any, app: str, backend: str
) -> None:
    database(**POSTGRESQL)
    installed(app)
    found, problems = discovered(TASKS={"default": {"BACKEND": f"{app}.DatabaseBackend"}})
    assert problems == []
    assert found["task_queue"].check.backend == backend
    assert all(found[name].check.required for name in CHECKS)
    assert (found["task_workers"].check.sql is None) == (backend == "django-tasks")
    assert found["task_workers"].check.stuck_sql
    assert found["pending_tasks"].check.taken_sql


IMMEDIATE = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
DUMMY = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}


@pytest.mark.parametrize(("tasks", "name"), [(IMMEDIATE, "ImmediateBackend"), (DUMMY, "DummyBackend")])
@pytest.mark.parametrize("app", [None, "django_tasks_db"])
def test_tasks__without_a_worker(
    discovered: Any, database: Any, installed: Any, tasks: Any, name: str, app: str | None
) -> None:
    database(**POSTGRESQL)
    installed(app)
    found, problems = discovered(TASKS=tasks)
    assert problems == []
    reason = f"TASKS runs no task by a worker ({name})"
    assert {found[check].check for check in CHECKS} == {specs.Skipped(reason=reason)}


def test_tasks__default_tables_are_required_beside_immediate_tasks(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    found, _ = discovered(TASKS=IMMEDIATE, LIFESIGNS={"REQUIRED": "all"})
    assert found["task_queue"].check.backend == "background_task"


@pytest.mark.parametrize("tasks", [7, {"default": "django_tasks_db.DatabaseBackend"}])
def test_tasks__wrong_tasks(discovered: Any, installed: Any, tasks: Any) -> None:
    installed("django_tasks_db")
    found, [problem] = discovered(TASKS=tasks)
    assert problem.id == "W005"
    assert problem.message.startswith("TASKS must be a dict of dicts")
    assert isinstance(found["task_queue"].check, FixedResult)


def test_tasks__django_tasks_without_its_models(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    backend = {"BACKEND": "django_tasks_db.DatabaseBackend"}
    found, _ = discovered(TASKS={"default": backend, "b": backend}, LIFESIGNS={"TASK_QUEUE": "django-tasks"})
    sql = found["pending_tasks"].check.sql
    assert "status IN ('READY', 'NEW')" in sql
    assert "GROUP BY backend_name || ':' || queue_name" in sql


@pytest.mark.parametrize(("release", "has_heartbeats"), [("3.0.2", False), ("3.1.0", True), ("4.0rc1", True)])
def test_tasks__procrastinate_release(
    discovered: Any, database: Any, monkeypatch: pytest.MonkeyPatch, release: str, has_heartbeats: bool
) -> None:
    database(**POSTGRESQL)
    monkeypatch.setattr("django_lifesigns.targets.queues.procrastinate.version", lambda _: release)
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": "procrastinate"})
    assert problems == []
    assert isinstance(found["task_workers"].check, specs.TaskWorkers) == has_heartbeats
    assert ("procrastinate_workers" in found["task_queue"].check.tables) == has_heartbeats
    if not has_heartbeats:
        assert "3.1" in found["task_workers"].check.reason


def test_tasks__django_q2_with_broker_in_another_database(
    discovered: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database(**POSTGRESQL)
    queue = {**connections.settings["default"], "NAME": "queue"}
    monkeypatch.setitem(connections.settings, "queue", queue)
    monkeypatch.setitem(apps.all_models, "django_q", {"task": object})
    found, problems = discovered(Q_CLUSTER={"orm": "queue"}, LIFESIGNS={"TASK_QUEUE": "django-q2"})
    assert problems == []
    assert found["pending_tasks"].check.server.dbname == "queue"
    assert found["failed_tasks"].check.server.dbname == "app"
    assert found["pending_tasks"].check.overdue_sql is None


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ({}, ">= 250"),
        ({"save_limit": 7}, ">= 7"),
        ({"save_limit": 0}, "SELECT count(*)"),
        ({"save_limit": -1}, None),
        ({"save_limit_per": "func"}, None),
    ],
)
def test_tasks__django_q2_flow_is_known_where_successes_are_kept(
    discovered: Any, database: Any, cluster: Any, expected: str | None
) -> None:
    database(**POSTGRESQL)
    found, _ = discovered(Q_CLUSTER={"orm": "default", **cluster}, LIFESIGNS={"TASK_QUEUE": "django-q2"})
    sql = found["pending_tasks"].check.finished_sql
    assert (expected in sql) if expected else sql is None


def test_tasks__django_q2(discovered: Any, database: Any, installed: Any) -> None:
    database(**POSTGRESQL)
    installed("django_q")
    redis = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://h"}}
    found, problems = discovered(Q_CLUSTER={"orm": "default"}, CACHES=redis, LIFESIGNS={"EXPECTED_WORKERS": 2})
    assert problems == []
    assert found["task_queue"].check.tables == ("django_q_ormq", "django_q_task")
    assert found["pending_tasks"].check.tables == ("django_q_ormq",)
    assert found["task_workers"].check == django_q.DjangoQWorkers(expected_workers=2)


def test_tasks__django_q2_with_another_broker_and_no_shared_cache(
    discovered: Any, database: Any, installed: Any
) -> None:
    database(**POSTGRESQL)
    installed("django_q")
    found, _ = discovered(Q_CLUSTER={"sqs": {}, "broker_class": "project.Broker"})
    assert "Q_CLUSTER['orm']" in found["pending_tasks"].check.reason
    assert "Q_CLUSTER['cache']" in found["task_workers"].check.reason
    assert found["failed_tasks"].check.tables == ("django_q_task",)


def test_tasks__celery(discovered: Any, database: Any, installed: Any) -> None:
    database(**POSTGRESQL)
    installed("django_celery_results")
    lifesigns = {"CHECKS": {"pending_tasks": {"thresholds": {"degraded_above": 1, "error_above": 2}}}}
    found, problems = discovered(CELERY_BROKER_URL="redis://h", CELERY_RESULT_BACKEND="django-db", LIFESIGNS=lifesigns)
    assert problems == []
    server = specs.RedisServer(url="redis://h:6379/0")
    assert found["task_queue"].check == specs.RedisTaskBroker(server=server, backend="celery (redis)")
    thresholds = specs.Thresholds(degraded_above=1, error_above=2)
    check = found["pending_tasks"].check
    assert check.finished.server == specs.PostgresServer(dbname="app")
    assert "date_done >= {since}" in check.finished.sql
    assert check == specs.RedisPendingTasks(
        server=server,
        layout="celery",
        queues=("celery",),
        discover=True,
        thresholds=thresholds,
        finished=check.finished,
    )
    assert found["failed_tasks"].check.tables == ("django_celery_results_taskresult",)
    assert found["task_workers"].check == celery_workers.CeleryWorkers()


@pytest.mark.parametrize(
    ("given", "failures", "flow"),
    [
        ({"CELERY_TASK_IGNORE_RESULT": True}, False, False),
        ({"CELERY_TASK_IGNORE_RESULT": True, "CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED": True}, True, False),
        ({}, True, True),
    ],
)
def test_tasks__celery_results_that_are_ignored_are_not_zero(
    discovered: Any, database: Any, installed: Any, given: Any, failures: bool, flow: bool
) -> None:
    database(**POSTGRESQL)
    installed("django_celery_results")
    found, _ = discovered(CELERY_BROKER_URL="redis://h", CELERY_RESULT_BACKEND="django-db", **given)
    assert isinstance(found["failed_tasks"].check, specs.FailedTasks) == failures
    assert (found["pending_tasks"].check.finished is not None) == flow


@pytest.mark.parametrize("url", ["redis://h", "amqp://h", "sqs://"])
@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (None, True),
        ("django_celery_beat.schedulers:DatabaseScheduler", True),
        ("project.schedulers.OurDatabaseScheduler", True),
        ("celery.beat:PersistentScheduler", False),
    ],
)
def test_tasks__celery_schedules_in_tables(
    discovered: Any, installed: Any, url: str, scheduler: str | None, expected: bool
) -> None:
    pytest.importorskip("celery")
    installed("django_celery_beat")
    found, problems = discovered(CELERY_BROKER_URL=url, CELERY_BEAT_SCHEDULER=scheduler)
    assert problems == []
    assert getattr(found["task_workers"].check, "schedules", False) == expected
    options = {"CHECKS": {"task_workers": {"schedules": False, "schedule_window_minutes": 30}}}
    if expected:
        found, problems = discovered(CELERY_BROKER_URL=url, LIFESIGNS=options)
        assert problems == []
        check = found["task_workers"].check
        assert (check.schedules, check.schedule_window_minutes) == (False, 30)


def test_tasks__celery_without_results(discovered: Any) -> None:
    found, problems = discovered(CELERY_BROKER_URL="redis://h")
    assert problems == []
    assert "django-celery-results" in found["failed_tasks"].check.reason


@pytest.mark.parametrize(
    ("value", "named", "problem_id"),
    [
        ("celry", "'celery'", "E002"),
        ({"pending": "SELECT"}, "'pending_sql'", "E002"),
        ({"tables": "job"}, "'tables'", "E002"),
        ({"pending_sql": 7}, "'pending_sql'", "E002"),
        ({"stuck_sql": " "}, "'stuck_sql'", "E002"),
        ({"overdue": "SELECT"}, "'overdue_sql'", "E002"),
        ({"databases": {}}, "'database'", "E002"),
        ({"database": "other"}, "'other'", "W005"),
        (7, "preset", "E002"),
    ],
)
def test_tasks__wrong(discovered: Any, value: Any, named: str, problem_id: str) -> None:
    found, problems = discovered(LIFESIGNS={"TASK_QUEUE": value})
    assert [problem.id for problem in problems] == [problem_id]
    assert any(named in problem.message + problem.hint for problem in problems)
    assert isinstance(found["task_queue"].check, FixedResult) or value == 7


@pytest.mark.parametrize("lifesigns", [{}, {"REQUIRED": "all"}])
@pytest.mark.parametrize(
    ("given", "skipped", "reason"),
    [
        ({"CELERY_TASK_ALWAYS_EAGER": True}, CHECKS, "CELERY_TASK_ALWAYS_EAGER"),
        # Celery asks whether it is true.
        ({"CELERY_TASK_ALWAYS_EAGER": "False"}, CHECKS, "CELERY_TASK_ALWAYS_EAGER"),
        ({"CELERY_BROKER_URL": "memory://"}, CHECKS, "memory"),
        ({"CELERY_BROKER_URL": "sqs://"}, ("failed_tasks", "task_workers"), "sqs"),
        ({"CELERY_BROKER_URL": "confluentkafka://h"}, ("failed_tasks", "task_workers"), "kafka"),
        ({"CELERY_BROKER_URL": ["zookeeper://h"]}, ("failed_tasks", "task_workers"), "zookeeper"),
        ({"CELERY_BROKER_URL": "sqla+sqlite:///x"}, ("failed_tasks", "task_workers"), "sqla"),
        ({"CELERY_WORKER_ENABLE_REMOTE_CONTROL": False}, ("failed_tasks", "task_workers"), "REMOTE_CONTROL"),
        ({}, ("failed_tasks",), "CELERY_RESULT_BACKEND"),
        ({"CELERY_RESULT_BACKEND": "redis://h"}, ("failed_tasks",), "CELERY_RESULT_BACKEND"),
    ],
)
def test_tasks__celery_whose_workers_cannot_be_pinged(
    discovered: Any, installed: Any, given: Any, skipped: tuple[str, ...], reason: str, lifesigns: Any
) -> None:
    installed("django_celery_results")
    found, problems = discovered(**{"CELERY_BROKER_URL": "redis://h", "LIFESIGNS": lifesigns, **given})
    assert problems == []
    assert tuple(name for name in CHECKS if isinstance(found[name].check, specs.Skipped)) == skipped
    assert reason in found[skipped[-1]].check.reason


def test_tasks__celery_that_is_not_installed(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_lifesigns.targets.queues.celery.find_spec", lambda name: None)
    found, problems = discovered(CELERY_BROKER_URL="redis://h")
    assert problems == []
    assert {found[name].check for name in CHECKS} == {specs.Skipped(reason="Celery is not installed here")}


def test_tasks__django_q2_in_an_unknown_database(discovered: Any) -> None:
    found, [problem] = discovered(Q_CLUSTER={"orm": "gone"}, LIFESIGNS={"TASK_QUEUE": "django-q2"})
    assert "'gone', which is not in DATABASES" in problem.message
    assert isinstance(found["pending_tasks"].check, FixedResult)


def test_tasks__windows_are_options(discovered: Any, database: Any) -> None:
    database(**POSTGRESQL)
    checks = {"task_workers": {"stuck_after_minutes": 240}, "pending_tasks": {"window_minutes": 15}}
    for queue in ("procrastinate", CUSTOM):
        found, problems = discovered(LIFESIGNS={"TASK_QUEUE": queue, "CHECKS": checks})
        assert problems == []
        assert found["task_workers"].check.stuck_after_minutes == 240
        assert found["pending_tasks"].check.window_minutes == 15


@pytest.mark.parametrize(
    ("given", "named"), [({"CELERY_BROKER_URL": 7}, "CELERY_BROKER_URL"), ({"Q_CLUSTER": ["x"]}, "Q_CLUSTER")]
)
def test_tasks__wrong_settings_of_others(discovered: Any, given: Any, named: str) -> None:
    preset = "celery" if "CELERY_BROKER_URL" in given else "django-q2"
    found, [problem] = discovered(**given, LIFESIGNS={"TASK_QUEUE": preset})
    assert problem.id == "W005"
    assert problem.message.startswith(named)
    assert isinstance(found["task_queue"].check, FixedResult)


@pytest.mark.parametrize(("shared", "required"), [([], False), (["procrastinate.contrib.django"], True)])
def test_tasks__in_the_schemas_of_tenants(
    discovered: Any, database: Any, installed: Any, settings: Any, shared: list[str], required: bool
) -> None:
    database(**POSTGRESQL)
    installed("procrastinate.contrib.django")
    settings.TENANT_APPS, settings.SHARED_APPS = ["procrastinate.contrib.django"], shared
    assert {discovered()[0][name].check.required for name in CHECKS} == {required}
