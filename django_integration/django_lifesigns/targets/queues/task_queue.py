"""One task queue: where it keeps its tasks, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django_lifesigns.checks.kinds import Check

# The statements that a check takes beside its own, each of which costs only its own details where it fails.
FURTHER = {
    "pending_tasks": ("scheduled_sql", "taken_sql", "finished_sql", "overdue_sql"),
    "task_workers": ("last_heartbeat_sql", "running_sql", "stuck_sql"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQueue:
    """A queue in the database alias `database`: its tables, and statements on them that may each be left out.

    In each of them `{now}` stands for the present and `{since}` for the start of the check's window. `pending_sql`
    selects queue, depth and the oldest task's time for each queue. `taken_sql` and `running_sql` select how many tasks
    are taken and not finished, and since when the oldest is; `last_heartbeat_sql` when any worker last sent one. The
    others count: `failed_sql`, `workers_sql`,
    `scheduled_sql` tasks not yet due, `finished_sql` finished tasks, `overdue_sql` schedules due before `{since}`, and
    `stuck_sql` tasks whose worker died (`{stuck_since}` is `stuck_after_minutes` ago).

    By the name of a check, `checks` are run in place of SQL, `unknown` says why it is skipped, `options` how
    it is run where nothing else is configured, and `databases` names another alias where its tables are. `notes` say
    what of the queue is left out of the checks.
    """

    backend: str
    database: str = "default"
    tables: tuple[str, ...] = ()
    pending_sql: str | None = None
    failed_sql: str | None = None
    workers_sql: str | None = None
    scheduled_sql: str | None = None
    taken_sql: str | None = None
    finished_sql: str | None = None
    overdue_sql: str | None = None
    last_heartbeat_sql: str | None = None
    running_sql: str | None = None
    stuck_sql: str | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
