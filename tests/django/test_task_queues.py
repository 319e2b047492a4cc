"""The presets, each on the tables or the broker that its package makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
import psycopg
import pytest

from tests.django.projects import run_json
from tests.services import Stack

INSTALLED = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django_lifesigns"]
MIGRATE = "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
CHECK = """
import json
from django_lifesigns.runtime.engine import get_engine
names = ["task_queue", "pending_tasks", "failed_tasks", "task_workers"]
print(json.dumps(get_engine().run(names, refresh=True)["checks"]))
"""

DJANGO_TASKS = """
from datetime import timedelta
from django.utils import timezone
from django_tasks_db.models import DBTaskResult, get_date_max
now = timezone.now()
waiting = {"queue_name": "mail", "args_kwargs": {}, "task_path": "x", "backend_name": "default", "traceback": ""}
DBTaskResult.objects.create(status="READY", run_after=get_date_max(), **waiting)
DBTaskResult.objects.create(status="READY", run_after=now - timedelta(minutes=1), **waiting)
DBTaskResult.objects.create(status="READY", run_after=now + timedelta(days=1), **waiting)
DBTaskResult.objects.create(status="FAILED", run_after=now, finished_at=now, **waiting)
DBTaskResult.objects.create(status="FAILED", run_after=now, finished_at=now - timedelta(days=1), **waiting)
"""

DJANGO_Q = """
from datetime import timedelta
from django.utils import timezone
from django_q.models import OrmQ, Task
now = timezone.now()
OrmQ.objects.create(key="mail", payload="", lock=now - timedelta(seconds=5))
OrmQ.objects.create(key="mail", payload="", lock=now - timedelta(seconds=5))
OrmQ.objects.create(key="mail", payload="", lock=now + timedelta(minutes=1))
for n, (success, stopped) in enumerate([(False, now), (True, now), (False, now - timedelta(days=1))]):
    Task.objects.create(id=n, name=n, func="x", started=stopped, stopped=stopped, success=success)
"""

CELERY = """
from celery import Celery
from django_celery_results.models import TaskResult
app = Celery()
app.config_from_object("django.conf:settings", namespace="CELERY")
for _ in range(2):
    app.send_task("x")
TaskResult.objects.create(task_id="1", status="FAILURE")
TaskResult.objects.create(task_id="2", status="SUCCESS")
"""

PROCRASTINATE = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute('''
        INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('mail', 'x'), ('mail', 'x');
        INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at)
        VALUES ('mail', 'x', now() + interval '1 day');
        INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('mail', 'x', 'failed');
        INSERT INTO procrastinate_events (job_id, type)
        SELECT id, 'failed' FROM procrastinate_jobs WHERE status = 'failed';
        INSERT INTO procrastinate_workers DEFAULT VALUES;
    ''')
"""


def on_sqlite(folder: Path, *apps: str, **settings: Any) -> dict[str, Any]:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}
    return {"DATABASES": {"default": database}, "INSTALLED_APPS": [*INSTALLED, *apps], **settings}


def assert_found(results: dict[str, Any], workers: str) -> None:
    assert results["task_queue"]["status"] == "healthy", results
    assert results["pending_tasks"]["status"] == "healthy", results
    assert list(results["pending_tasks"]["details"]["queue_breakdown"].values()) == [2], results
    assert results["failed_tasks"]["details"]["failed_count_last_hour"] == 1, results
    assert results["task_workers"]["status"] == workers, results


def test_preset__django_tasks(tmp_path: Path) -> None:
    pytest.importorskip("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")
    pytest.importorskip("django_tasks_db")
    settings = on_sqlite(tmp_path, "django_tasks_db", TASKS={"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}})
    results = run_json(tmp_path, settings, MIGRATE + DJANGO_TASKS + CHECK)
    assert_found(results, "skipped")
    assert 0 <= results["pending_tasks"]["details"]["oldest_pending_seconds"] < 60


def test_preset__django_q2(tmp_path: Path) -> None:
    pytest.importorskip("django_q")
    cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path / "cache")}
    cluster = {"orm": "default", "timeout": 5, "retry": 10}
    settings = on_sqlite(tmp_path, "django_q", Q_CLUSTER=cluster, CACHES={"default": cache})
    assert_found(run_json(tmp_path, settings, MIGRATE + DJANGO_Q + CHECK), "error")


def test_preset__celery(stack: Stack, tmp_path: Path) -> None:
    pytest.importorskip("django_celery_results")
    url = stack.redis.url_for(9)
    settings = on_sqlite(tmp_path, "django_celery_results", CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND="django-db")
    results = run_json(tmp_path, settings, MIGRATE + CELERY + CHECK)
    assert_found(results, "error")
    assert results["task_queue"]["details"]["backend"] == "celery (redis)"
    assert results["pending_tasks"]["details"]["queue_breakdown"] == {"celery": 2}


def test_preset__celery_without_broker(tmp_path: Path) -> None:
    pytest.importorskip("celery")
    settings = on_sqlite(tmp_path, CELERY_BROKER_URL="redis://:hunter2@127.0.0.1:1/0")
    results = run_json(tmp_path, settings, MIGRATE + CHECK)
    assert results["task_queue"]["status"] == "error"
    assert "hunter2" not in str(results)


def test_preset__procrastinate(stack: Stack, tmp_path: Path) -> None:
    pytest.importorskip("procrastinate")
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS procrastinate")
        connection.execute("CREATE DATABASE procrastinate")
    database = {**stack.postgres.database(), "NAME": "procrastinate"}
    settings = {
        "DATABASES": {"default": database},
        "INSTALLED_APPS": [*INSTALLED, "procrastinate.contrib.django"],
    }
    assert_found(run_json(tmp_path, settings, MIGRATE + PROCRASTINATE + CHECK), "healthy")
