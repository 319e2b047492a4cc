"""What is checked of a task queue whose tables are in PostgreSQL."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lifesigns.specs.base import Spec
from lifesigns.specs.postgres import PostgresServer
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTables(Spec):
    """The tables of the task queue `backend` exist."""

    kind: ClassVar[str] = "task_tables"
    server: PostgresServer
    backend: str
    tables: Sequence[str]
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingTasks(Spec):
    """The depth of the deepest queue (100, 500), and the age of the oldest task."""

    kind: ClassVar[str] = "pending_tasks"
    server: PostgresServer
    sql: str
    """One `SELECT` of three columns: queue (text), depth (integer), oldest (timestamp, may be null)."""
    tables: Sequence[str]
    """The tables that `sql` reads."""
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""
    thresholds: Thresholds | None = None
    """The depth of the deepest queue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTasks(Spec):
    """Failures (5, 20) within `window_minutes` (60)."""

    kind: ClassVar[str] = "failed_tasks"
    server: PostgresServer
    sql: str
    """One `SELECT count(*)`; `{since}` stands for the start of the window."""
    tables: Sequence[str]
    """The tables that `sql` reads."""
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""
    window_minutes: int | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskWorkers(Spec):
    """Workers with a heartbeat within `heartbeat_window_minutes` (5), against `expected_workers` (1)."""

    kind: ClassVar[str] = "task_workers"
    server: PostgresServer
    sql: str
    """One `SELECT count(*)`; `{since}` stands for the start of the window."""
    tables: Sequence[str]
    """The tables that `sql` reads."""
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""
    heartbeat_window_minutes: int | None = None
    expected_workers: int | None = None
