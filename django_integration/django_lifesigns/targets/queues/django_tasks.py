"""The database backend of Django's tasks."""

from __future__ import annotations

from collections.abc import Mapping

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, router

from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.dialect import joined
from django_lifesigns.targets.queues.task_queue import TaskQueue

TABLE = "django_tasks_database_dbtaskresult"
CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")
# A task that may run at once has null as run_after or, from 0.7 on, the largest date, in UTC: a session in another zone
# reads the literal as another moment.
AT_ONCE = "(run_after IS NULL OR run_after >= '9998-12-30')"
# Since when a task could have run.
SINCE = f"CASE WHEN {AT_ONCE} OR run_after < enqueued_at THEN enqueued_at ELSE run_after END"


def django_tasks() -> TaskQueue:
    """The database backend of Django's tasks (django-tasks-db, and django-tasks before it was split)."""
    reason = why_no_queue()
    if reason:
        return TaskQueue(backend="django-tasks", unknown=dict.fromkeys(CHECKS, reason))
    model = apps.all_models.get("django_tasks_database", {}).get("dbtaskresult")
    database = router.db_for_write(model) if model else DEFAULT_DB_ALIAS
    ready = f"status IN ({_ready(model)})"
    # A worker serves one backend.
    queue = "queue_name" if len(_backends()) < 2 else joined(database, "backend_name", "queue_name")
    running = f"SELECT count(*), min(started_at) FROM {TABLE} WHERE status = 'RUNNING'"
    return TaskQueue(
        backend="django-tasks",
        database=database,
        tables=(TABLE,),
        pending_sql=f"SELECT {queue}, count(*), min({SINCE}) "
        f"FROM {TABLE} WHERE {ready} AND ({AT_ONCE} OR run_after <= {{now}}) GROUP BY {queue}",
        failed_sql=f"SELECT count(*) FROM {TABLE} WHERE status = 'FAILED' AND finished_at >= {{since}}",
        scheduled_sql=f"SELECT count(*) FROM {TABLE} WHERE {ready} AND run_after > {{now}} AND NOT {AT_ONCE}",
        taken_sql=running,
        finished_sql=f"SELECT count(*) FROM {TABLE} WHERE finished_at >= {{since}}",
        running_sql=running,
        # A worker that is killed leaves its task so for ever.
        stuck_sql=f"SELECT count(*) FROM {TABLE} WHERE status = 'RUNNING' AND started_at < {{stuck_since}}",
    )


def why_no_queue() -> str | None:
    """Return why `TASKS` has no queue: each backend runs tasks at once, or never."""
    if _backends():
        return None
    names = sorted({name.rpartition(".")[2] for name in _configured().values()})
    return f"TASKS runs no task by a worker ({', '.join(names) or 'ImmediateBackend'})"


def _configured() -> dict[str, str]:
    tasks = getattr(settings, "TASKS", {})
    if not isinstance(tasks, Mapping) or not all(isinstance(entry, Mapping) for entry in tasks.values()):
        raise WrongTargetError("TASKS must be a dict of dicts")
    return {alias: str(entry.get("BACKEND", "")) for alias, entry in tasks.items()}


def _backends() -> list[str]:
    """Return the aliases of the backends whose tasks wait for a worker."""
    without_queue = (".ImmediateBackend", ".DummyBackend")
    return [alias for alias, backend in _configured().items() if not backend.endswith(without_queue)]


def _ready(model: object) -> str:
    """Return the status of a waiting task: NEW before 0.8. Only where one alone is named can the index be used."""
    if model is None:
        return "'READY', 'NEW'"
    default = model._meta.get_field("status").default  # type: ignore[attr-defined]
    return f"'{getattr(default, 'value', default)}'"
