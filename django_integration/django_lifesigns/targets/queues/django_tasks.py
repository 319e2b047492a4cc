"""The database backend of Django's tasks."""

from __future__ import annotations

from django_lifesigns.targets.queues.task_queue import TaskQueue


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
