"""One task queue: where it keeps its tasks, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django_lifesigns.checks.kinds import Check


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQueue:
    """A queue in the database alias `database`. `pending_sql` selects queue, depth and the oldest task's time for each
    queue; `failed_sql` and `workers_sql` count since `{since}`. `checks` are asked in place of SQL; `unknown` says, by
    the check's name, why it cannot be asked, and `options` how it is run where nothing else is configured; `notes` what
    of the queue is left out of the checks."""

    backend: str
    database: str = "default"
    tables: tuple[str, ...] = ()
    pending_sql: str | None = None
    failed_sql: str | None = None
    workers_sql: str | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
