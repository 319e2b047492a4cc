"""Where the task queues of Django projects keep their tasks: tables and SQL, as data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.apps import apps
from django.conf import settings

from django_lifesigns.checks.django_q import DjangoQWorkers
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.targets.celery import RESULTS_TABLE, checks_of_celery, has_results, unknown_of_celery
from django_lifesigns.targets.context import WrongTargetError

DEFAULT = "background_task"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQueue:
    """A queue in the database alias `database`. `pending_sql` selects queue, depth and the oldest task's time for each
    queue; `failed_sql` and `workers_sql` count since `{since}`. `checks` are asked in place of SQL; `unknown` says, by
    the check's name, why it cannot be asked."""

    backend: str
    database: str = "default"
    tables: tuple[str, ...] = ()
    pending_sql: str | None = None
    failed_sql: str | None = None
    workers_sql: str | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def background_task() -> TaskQueue:
    """The tables that are looked for where nothing else is installed or configured.

    Applications write their statuses in either case. A plain index on `status` is of no use to these statements; one on
    `lower(status)` is, and so is one on `updated_at` for the failures.
    """
    return TaskQueue(
        backend=DEFAULT,
        tables=("background_task", "background_task_worker"),
        pending_sql="SELECT queue_name, count(*), min(updated_at) FROM background_task "
        "WHERE lower(status) = 'pending' GROUP BY queue_name",
        failed_sql="SELECT count(*) FROM background_task WHERE lower(status) = 'failed' AND updated_at >= {since}",
        workers_sql="SELECT count(*) FROM background_task_worker WHERE last_heartbeat >= {since}",
    )


def procrastinate() -> TaskQueue:
    """Procrastinate 3 (earlier ones have no table of workers)."""
    return TaskQueue(
        backend="procrastinate",
        database=getattr(settings, "PROCRASTINATE_DATABASE_ALIAS", "default"),
        tables=("procrastinate_jobs", "procrastinate_events", "procrastinate_workers"),
        pending_sql="SELECT j.queue_name, count(DISTINCT j.id), min(e.at) FROM procrastinate_jobs j "
        "LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred' "
        "WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now()) GROUP BY j.queue_name",
        failed_sql="SELECT count(*) FROM procrastinate_events WHERE type = 'failed' AND at >= {since}",
        workers_sql="SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= {since}",
    )


def django_tasks() -> TaskQueue:
    """The database backend of Django's tasks (django-tasks-db, and django-tasks before it was split)."""
    return TaskQueue(
        backend="django-tasks",
        tables=("django_tasks_database_dbtaskresult",),
        # A task that may run at once has the largest date as run_after, in UTC: a session in another zone reads the
        # literal as a later moment. Before 0.5 READY was called NEW.
        pending_sql="SELECT queue_name, count(*), min(enqueued_at) FROM django_tasks_database_dbtaskresult "
        "WHERE status IN ('READY', 'NEW') AND (run_after IS NULL OR run_after <= CURRENT_TIMESTAMP "
        "OR run_after >= '9998-12-30') GROUP BY queue_name",
        failed_sql="SELECT count(*) FROM django_tasks_database_dbtaskresult "
        "WHERE status = 'FAILED' AND finished_at >= {since}",
        unknown={"task_workers": "the workers of django-tasks leave no heartbeat in the database"},
    )


def django_q2() -> TaskQueue:
    """django-q2: results are always in the database, tasks only with its ORM broker, workers in its cache."""
    cluster = getattr(settings, "Q_CLUSTER", {})
    if not isinstance(cluster, Mapping):
        raise WrongTargetError("Q_CLUSTER must be a dict")
    orm = cluster.get("orm")
    other = "tasks are in another broker than the database (Q_CLUSTER['orm'])"
    cache = settings.CACHES.get(cluster.get("cache", "default"), {}).get("BACKEND", "")
    shared = not cache.endswith((".LocMemCache", ".DummyCache"))
    alone = {"task_workers": "workers report through Q_CLUSTER['cache'], which is not shared between processes"}
    return TaskQueue(
        backend="django-q2",
        database=orm or "default",
        tables=("django_q_ormq", "django_q_task") if orm else ("django_q_task",),
        # The lock of a waiting task is the time at which it was enqueued, that of a running one lies ahead.
        pending_sql="SELECT q.key, count(*), min(q.lock) FROM django_q_ormq q "
        "WHERE q.lock <= CURRENT_TIMESTAMP GROUP BY q.key",
        failed_sql="SELECT count(*) FROM django_q_task WHERE NOT success AND stopped >= {since}",
        checks={"task_workers": DjangoQWorkers()},
        unknown=({} if shared else alone) | ({} if orm else {"pending_tasks": other}),
    )


def celery() -> TaskQueue:
    """Celery: tasks and workers are in the broker, failures in the database of django-celery-results."""
    unknown = unknown_of_celery()
    return TaskQueue(
        backend="celery",
        tables=(RESULTS_TABLE,) if has_results() else (),
        failed_sql=f"SELECT count(*) FROM {RESULTS_TABLE} WHERE status = 'FAILURE' AND date_done >= {{since}}",
        checks=checks_of_celery(unknown),
        unknown=unknown,
    )


PRESETS: dict[str, Callable[[], TaskQueue]] = {
    DEFAULT: background_task,
    "procrastinate": procrastinate,
    "django-tasks": django_tasks,
    "django-q2": django_q2,
    "celery": celery,
}

APPS = {
    "procrastinate.contrib.django": "procrastinate",
    "django_tasks_db": "django-tasks",
    "django_tasks.backends.database": "django-tasks",
    "django_q": "django-q2",
    "django_celery_results": "celery",
    "django_celery_beat": "celery",
}


def is_of_tenants() -> bool:
    """Return whether the tables of the queue are in the schemas of django-tenants' tenants, not in the public one."""
    shared, of_tenants = (getattr(settings, name, None) or () for name in ("SHARED_APPS", "TENANT_APPS"))
    return any(app in of_tenants and app not in shared for app in APPS)


def asked(tables: tuple[str, ...], sql: str) -> tuple[str, ...]:
    """Those of the tables that a statement reads: a queue may be in use without its table of workers."""
    words = set(re.findall(r"\w+", sql))
    return tuple(table for table in tables if table.rpartition(".")[2] in words)


def installed() -> str | None:
    """The preset of the first installed app that has one; Celery itself is no app and is known by its setting."""
    found = (preset for app, preset in APPS.items() if apps.is_installed(app))
    return next(found, "celery" if getattr(settings, "CELERY_BROKER_URL", None) else None)


def configured(value: str | Mapping[str, object]) -> TaskQueue:
    """The queue that `LIFESIGNS["TASK_QUEUE"]` means; ValueError if there is none such."""
    if isinstance(value, str):
        name = value.replace("_", "-") if value != DEFAULT else value
        if name not in PRESETS:
            raise ValueError(f"names no preset. {did_you_mean(value, PRESETS)}")  # it may be a URL, with its password
        return PRESETS[name]()
    known = {item.name for item in dataclasses.fields(TaskQueue)} - {"checks", "unknown"}
    for key, item in value.items():
        if key not in known:
            raise ValueError(f"has an unknown key {key!r}. {did_you_mean(key, known)}")
        if key == "tables" and not (isinstance(item, (list, tuple)) and all(isinstance(name, str) for name in item)):
            raise ValueError("has 'tables' that are not a list of names.")
        if key != "tables" and not isinstance(item, str):
            raise ValueError(f"has a {key!r} that is not a string.")
    return TaskQueue(**{"backend": "custom", **value, "tables": tuple(value.get("tables", ()))})  # type: ignore[arg-type]
