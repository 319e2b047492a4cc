"""Procrastinate: tables in PostgreSQL."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from django.conf import settings

from django_lifesigns.targets.queues.task_queue import TaskQueue

# The first release whose workers send heartbeats.
HEARTBEATS = (3, 1)
READY = "status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= {now})"
# Jobs retried since they were deferred are as old as their last retry. Not every release has each of these types, and
# a name that the enumeration lacks is an error unless it is compared as text.
PENDING = f"""
SELECT q.queue_name, q.depth, least(q.due, (
    SELECT max(e.at) FROM procrastinate_events e
    WHERE e.job_id = q.first AND e.type::text IN ('deferred', 'deferred_for_retry', 'retried')
)) FROM (
    SELECT queue_name, count(*) AS depth, min(scheduled_at) AS due,
        min(id) FILTER (WHERE scheduled_at IS NULL) AS first
    FROM procrastinate_jobs WHERE {READY} GROUP BY queue_name
) q"""
DOING = """
SELECT count(*), min(e.at) FROM procrastinate_jobs j LEFT JOIN LATERAL (
    SELECT max(at) AS at FROM procrastinate_events WHERE job_id = j.id AND type = 'started'
) e ON true WHERE j.status = 'doing'"""
# A worker that has removed itself, or was removed by others since it sent no heartbeat, leaves null.
STUCK = """
SELECT count(*) FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
WHERE j.status = 'doing' AND (w.id IS NULL OR w.last_heartbeat < {since})"""
# Events have no index on their time, and are as good as sorted by their id: the first one of the window is found by
# halving, in some 30 steps, so that those before it are not read.
EVENTS = """
WITH RECURSIVE halving(low, high) AS (
    SELECT min(id), max(id) + 1 FROM procrastinate_events
    UNION ALL
    SELECT CASE WHEN e.at < {since} THEN e.id + 1 ELSE h.low END,
        CASE WHEN e.at < {since} THEN h.high ELSE (h.low + h.high) / 2 END
    FROM halving h LEFT JOIN LATERAL (
        SELECT id, at FROM procrastinate_events WHERE id >= (h.low + h.high) / 2 AND id < h.high ORDER BY id LIMIT 1
    ) e ON true WHERE h.low < h.high
)
SELECT count(*) FROM procrastinate_events
WHERE id >= (SELECT max(low) FROM halving) AND at >= {since} AND type IN """


def procrastinate() -> TaskQueue:
    """Procrastinate 3; before 3.1 there is no table of workers."""
    heartbeats = _release() >= HEARTBEATS
    tables = ("procrastinate_jobs", "procrastinate_events", "procrastinate_workers")
    return TaskQueue(
        backend="procrastinate",
        database=getattr(settings, "PROCRASTINATE_DATABASE_ALIAS", "default"),
        tables=tables if heartbeats else tables[:2],
        pending_sql=PENDING,
        failed_sql=f"{EVENTS}('failed')",
        workers_sql="SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= {since}",
        last_heartbeat_sql="SELECT max(last_heartbeat) FROM procrastinate_workers",
        scheduled_sql="SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND scheduled_at > {now}",
        taken_sql=DOING,
        finished_sql=f"{EVENTS}('succeeded', 'failed', 'aborted')",
        running_sql=DOING,
        stuck_sql=STUCK,
        unknown={} if heartbeats else {"task_workers": "workers of procrastinate send heartbeats from 3.1 on"},
    )


def _release() -> tuple[int, ...]:
    """Return the installed release; where there is none (the tables are another project's), that is the newest."""
    try:
        parts = version("procrastinate").split(".")[:2]
    except PackageNotFoundError:
        return HEARTBEATS
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
