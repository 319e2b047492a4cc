"""The tables that are looked for where no task queue is installed or configured."""

from __future__ import annotations

from django_lifesigns.targets.queues.task_queue import TaskQueue

DEFAULT = "background_task"


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
        last_heartbeat_sql="SELECT max(last_heartbeat) FROM background_task_worker",
    )
