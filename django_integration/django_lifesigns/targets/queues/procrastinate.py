"""Procrastinate: tables in PostgreSQL."""

from __future__ import annotations

from django.conf import settings

from django_lifesigns.targets.queues.task_queue import TaskQueue


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
