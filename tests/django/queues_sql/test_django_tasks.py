"""django-tasks in each of its schemas: the database backend's own, and django-tasks-db after it was split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.django.queues_sql.environments import Environments
from tests.django.queues_sql.project import SECONDS, TASKS, QueueProject

pytestmark = pytest.mark.services

ENQUEUE = """
from datetime import timedelta
from django.core.management import call_command
from django.utils import timezone
from queue_tasks import add, fail, hang
call_command("migrate", verbosity=0)
# The oldest releases run tasks of one priority in any order.
for priority, tasks in [(20, (add, add, add, fail)), (10, (hang,)), (0, (add, add))]:
    for one in tasks:
        one.using(priority=priority).enqueue()
add.using(run_after=timezone.now() + timedelta(days=1)).enqueue()
add.using(queue_name="mail", run_after=timezone.now() + timedelta(seconds=0.5)).enqueue()
"""
# The worker finds tasks where it finds the functions: decorated.
DECORATE = """
try:
    from django_tasks import task
except ImportError:
    from django.tasks import task
add, fail, hang = task()(add), task()(fail), task()(hang)
"""
LONG_AGO = """
from datetime import timedelta
from django.apps import apps
from django.utils import timezone
tasks = apps.get_model("django_tasks_database", "DBTaskResult").objects.filter(status="RUNNING")
result = tasks.update(started_at=timezone.now() - timedelta(hours=2))
"""
RELEASES = [
    ("oldest", "postgres"),
    ("oldest", "mariadb"),
    ("django-tasks 0.7", "postgres"),
    ("django-tasks 0.7", "sqlite"),
    ("django-tasks 0.11", "postgres"),
    ("django-tasks-db 0.12", "postgres"),
    ("django-tasks-db 0.12", "sqlite"),
    ("newest", "postgres"),
    ("newest", "sqlite"),
    ("newest", "mariadb"),
]


def project_of(
    folder: Path, environments: Environments, release: str, databases: dict[str, Any], **settings: Any
) -> QueueProject:
    is_split = release == "newest" or release.startswith("django-tasks-db")
    app = "django_tasks_db" if is_split else "django_tasks.backends.database"
    backend = f"{app}.DatabaseBackend"
    tasks = {"default": {"BACKEND": backend, "QUEUES": ["default", "mail"]}}
    (folder / "queue_tasks.py").write_text(TASKS + DECORATE)
    return QueueProject(folder, environments.python(release), databases, [app], **{"TASKS": tasks, **settings})


@pytest.mark.parametrize(("release", "engine"), RELEASES)
def test_queue_with_killed_worker_has_stuck_task(
    environments: Environments,
    new_database: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    release: str,
    engine: str,
) -> None:
    with project_of(tmp_path, environments, release, {"default": new_database(engine)}) as project:
        project.run(ENQUEUE)
        worker = project.worker("db_worker", "--interval", "0.1")
        project.wait_until_hanging(worker)
        project.kill(worker)
        results = project.check()
        pending, workers = results["pending_tasks"], results["task_workers"]
        assert results["task_queue"]["status"] == "healthy", results
        assert pending["status"] == "healthy", results
        assert "unavailable" not in pending["details"], results
        assert pending["details"]["queue_breakdown"] == {"default": 2, "mail": 1}
        assert pending["details"]["scheduled_tasks"] == 1
        assert pending["details"]["taken_tasks"] == 1
        assert pending["details"]["finished_per_minute"] == 0.8
        assert pending["details"]["expected_wait_seconds"] == 3 / 4 * 300
        for name in ("oldest_pending_seconds", "oldest_taken_seconds"):
            assert 0 <= pending["details"][name] < SECONDS, results
        assert results["failed_tasks"]["details"]["failed_count_last_hour"] == 1
        assert (workers["status"], workers["details"]["stuck_tasks"]) == ("skipped", 0), results

        assert project.run(LONG_AGO) == 1
        workers = project.check()["task_workers"]
        assert workers["status"] == "degraded", workers
        assert workers["details"]["stuck_tasks"] == workers["details"]["running_tasks"] == 1
        assert 7200 <= workers["details"]["oldest_running_seconds"] < 7300


MANY = """
from django.core.management import call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult, get_date_max
call_command("migrate", verbosity=0)
task = {"args_kwargs": {}, "task_path": "x", "backend_name": "default", "traceback": ""}
def make(number, **values):
    DBTaskResult.objects.bulk_create([DBTaskResult(**task, **values) for _ in range(number)], batch_size=2000)
make(600, status="READY", run_after=get_date_max())
"""
FINISHED = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute('''
        INSERT INTO django_tasks_database_dbtaskresult (id, status, enqueued_at, started_at, finished_at, args_kwargs,
            priority, task_path, worker_ids, queue_name, backend_name, run_after, exception_class_path, traceback)
        SELECT gen_random_uuid(), 'SUCCESSFUL', now(), now(), now() - interval '2 days', '{}', 0, 'x', '[]', 'default',
            'default', now(), '', '' FROM generate_series(1, 50000)''')
    cursor.execute("ANALYZE django_tasks_database_dbtaskresult")
    from django_lifesigns.targets.queues.django_tasks import django_tasks
    sql = django_tasks().pending_sql.replace("{now}", "now()")
    # Nor does the statement itself depend on the zone of the session.
    cursor.execute("SET timezone = 'America/New_York'")
    cursor.execute(sql)
    [(_, depth, _)] = cursor.fetchall()
    cursor.execute("EXPLAIN " + sql)
    result = [depth, " ".join(line for line, in cursor.fetchall())]
"""


@pytest.mark.parametrize("engine", ["postgres", "sqlite", "mariadb"])
def test_600_pending_tasks_are_error_in_another_time_zone(
    environments: Environments, new_database: Callable[[str], dict[str, Any]], tmp_path: Path, engine: str
) -> None:
    with project_of(tmp_path, environments, "newest", {"default": new_database(engine)}) as project:
        project.run(MANY)
        pending = project.check()["pending_tasks"]
        assert (pending["status"], pending["details"]["total_pending"]) == ("error", 600), pending
        if engine == "postgres":
            depth, plan = project.run(FINISHED)
            assert depth == 600
            assert "tasks_db_new_ordering_idx" in plan, plan
            assert "Seq Scan" not in plan, plan


BACKENDS = (
    MANY
    + """
task["backend_name"] = "reports"
make(2, status="READY", run_after=get_date_max())
"""
)


def test_tasks_of_several_backends_in_routed_database_are_counted_apart(
    environments: Environments, new_database: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    backend = {"BACKEND": "django_tasks_db.DatabaseBackend"}
    now = {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}
    settings = {"TASKS": {"default": backend, "reports": backend, "now": now}, "DATABASE_ROUTERS": ["router.Router"]}
    (tmp_path / "router.py").write_text(
        "class Router:\n"
        "    def db_for_write(self, model, **hints):\n"
        "        return 'tasks' if model._meta.app_label == 'django_tasks_database' else None\n"
        "    db_for_read = db_for_write\n"
    )
    databases = {"default": new_database("sqlite"), "tasks": new_database("sqlite")}
    with project_of(tmp_path, environments, "newest", databases, **settings) as project:
        project.run(BACKENDS.replace("verbosity=0", "verbosity=0, database='tasks'"))
        details = project.check()["pending_tasks"]["details"]
        assert details["queue_breakdown"] == {"default:default": 600, "reports:default": 2}
