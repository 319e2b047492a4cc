"""What is checked of a task queue whose tables are in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lifesigns.specs.base import Spec
from lifesigns.specs.postgres import PostgresServer
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTables(Spec):
    """The tables of the task queue `backend` exist. Unless `required` (True), none of them existing is skipped."""

    kind: ClassVar[str] = "task_tables"
    server: PostgresServer
    backend: str
    tables: Sequence[str]
    required: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingTasks(Spec):
    """The depth of the deepest queue (100, 500). `sql` reads `tables` and returns queue, depth and the oldest task's
    time for each queue."""

    kind: ClassVar[str] = "pending_tasks"
    server: PostgresServer
    sql: str
    tables: Sequence[str]
    required: bool | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTasks(Spec):
    """Failures (5, 20) within `window_minutes` (60). `sql` counts them; `{since}` in it is the window's start."""

    kind: ClassVar[str] = "failed_tasks"
    server: PostgresServer
    sql: str
    tables: Sequence[str]
    required: bool | None = None
    window_minutes: int | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskWorkers(Spec):
    """Workers seen within `heartbeat_window_minutes` (5), against `expected_workers` (1). `sql` counts them;
    `{since}` in it is the window's start."""

    kind: ClassVar[str] = "task_workers"
    server: PostgresServer
    sql: str
    tables: Sequence[str]
    required: bool | None = None
    heartbeat_window_minutes: int | None = None
    expected_workers: int | None = None
