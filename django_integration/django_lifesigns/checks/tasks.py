"""The checks of a task queue in a database that is not PostgreSQL, by the same SQL through Django's own connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.db import connections

from django_lifesigns.checks.last_seen import signed_off
from django_lifesigns.checks.task_results import (
    DAY,
    DEPTH,
    FAILURES,
    after_sign_off,
    counted,
    judge,
    pending,
    with_last_heartbeat,
    with_oldest,
    with_schedules,
    with_stuck,
    workers,
)
from django_lifesigns.checks.task_statements import EVER, FurtherRows, age, further_rows, minutes_ago, rows
from lifesigns.specs import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQueueTables:
    """The tables of the queue exist; the base of the checks that query them."""

    without_tables: ClassVar[str] = "error"
    database: str
    backend: str
    tables: tuple[str, ...]
    required: bool = True

    def __call__(self) -> dict[str, object]:
        missing = self._missing()
        if missing and not self.required and len(missing) == len(self.tables):
            # Nothing is wrong with a project that has no task queue.
            message = "There are no tables of a task queue here: set LIFESIGNS['TASK_QUEUE'] to the queue in use"
            return {"status": "skipped", "message": message}
        if missing:
            return self._result(self.without_tables, f"Missing tables of the task queue: {', '.join(missing)}", missing)
        return self._query()

    def _query(self) -> dict[str, object]:
        return self._result("healthy", _all_there(len(self.tables)), [])

    def _result(self, status: str, message: str, missing: list[str]) -> dict[str, object]:
        details = {
            "task_tables_available": not missing,
            "table_count": len(self.tables) - len(missing),
            "missing_tables": missing,
            "backend": self.backend,
        }
        return {"status": status, "message": message, "details": details}

    def _missing(self) -> list[str]:
        connection = connections[self.database]
        with connection.cursor() as cursor:
            existing = set(connection.introspection.table_names(cursor))
        # Introspection names no schemas.
        return [table for table in self.tables if table.rpartition(".")[2] not in existing]


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingTasks(TaskQueueTables):
    """Depth of each queue, judged by the deepest, and the age of the oldest task (`oldest_seconds`; 0 is no limit)."""

    without_tables: ClassVar[str] = "degraded"
    sql: str
    thresholds: Thresholds = DEPTH
    oldest_seconds: float = DAY
    scheduled_sql: str | None = None
    taken_sql: str | None = None
    finished_sql: str | None = None
    overdue_sql: str | None = None
    window_minutes: int = 5

    def _query(self) -> dict[str, object]:
        since = minutes_ago(self.window_minutes)
        found = rows(self.database, self.sql, since=since)
        depths = {str(queue): int(depth) for queue, depth, _ in found}
        ages = [seconds for _, _, oldest in found if (seconds := age(oldest, self.database)) is not None]
        result = with_oldest(pending(depths, self.thresholds, max(ages, default=None)), self.oldest_seconds)
        statements = {
            "taken_tasks": self.taken_sql,
            "scheduled_tasks": self.scheduled_sql,
            "overdue_schedules": self.overdue_sql,
            "finished_per_minute": self.finished_sql,
        }
        further = further_rows(self.database, statements, since=since)
        return with_schedules(further.explained(result, self._details(further, sum(depths.values()))), further)

    def _details(self, further: FurtherRows, total: int) -> dict[str, object]:
        names = ("scheduled_tasks", "taken_tasks", "overdue_schedules")
        details: dict[str, object] = {name: further.count(name) for name in names if further.count(name) is not None}
        if "taken_tasks" in further.found:
            details["oldest_taken_seconds"] = further.age("taken_tasks")
        finished = further.count("finished_per_minute")
        if finished is not None:
            details["finished_per_minute"] = round(finished / self.window_minutes, 1)
            wait = round(total * 60 * self.window_minutes / finished, 1) if finished else None
            details["expected_wait_seconds"] = wait if total else 0.0
        return details


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTasks(TaskQueueTables):
    """Failures in the last `window_minutes`."""

    without_tables: ClassVar[str] = "degraded"
    sql: str
    window_minutes: int = 60
    thresholds: Thresholds = FAILURES

    def _query(self) -> dict[str, object]:
        [(count,)] = rows(self.database, self.sql, since=minutes_ago(self.window_minutes))
        return {
            "status": judge(count, self.thresholds),
            "message": f"{counted(count, 'task')} failed in the last {counted(self.window_minutes, 'minute')}",
            "details": {"failed_count_last_hour": count, "window_minutes": self.window_minutes},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskWorkers(TaskQueueTables):
    """Workers with a heartbeat in the last `heartbeat_window_minutes`, and tasks whose worker died."""

    without_tables: ClassVar[str] = "degraded"
    sql: str | None = None
    heartbeat_window_minutes: int = 5
    expected_workers: int = 1
    last_heartbeat_sql: str | None = None
    running_sql: str | None = None
    stuck_sql: str | None = None
    stuck_after_minutes: int = 60

    def _query(self) -> dict[str, object]:
        since = minutes_ago(self.heartbeat_window_minutes)
        result: Any = self._heartbeats(since)
        statements = {
            "last_heartbeat_seconds": self.last_heartbeat_sql,
            "running_tasks": self.running_sql,
            "stuck_tasks": self.stuck_sql,
        }
        stuck_since = minutes_ago(self.stuck_after_minutes)
        further = further_rows(self.database, statements, since=since, stuck_since=stuck_since)
        details: dict[str, object] = {name: further.count(name) for name in further.found}
        if "running_tasks" in details:
            details["oldest_running_seconds"] = further.age("running_tasks")
        if "last_heartbeat_seconds" in details:
            details["last_heartbeat_seconds"] = further.age("last_heartbeat_seconds")
            result = with_last_heartbeat(result, further.age("last_heartbeat_seconds"))
        return further.explained(with_stuck({**result, "details": {**result["details"], **details}}, further), {})

    def _heartbeats(self, since: datetime) -> dict[str, object]:
        if self.sql is None:
            message = "The workers of this task queue leave no heartbeat in the database"
            return {"status": "skipped", "message": message, "details": {}}
        [(count,)] = rows(self.database, self.sql, since=since)
        known = 0 if count else rows(self.database, self.sql, since=EVER)[0][0]
        window = self.heartbeat_window_minutes
        ago = signed_off(f"{self.database} {self.sql}", count, known, 60 * window)
        sign = f"sent a heartbeat in the last {counted(window, 'minute')}"
        return after_sign_off(workers(count, self.expected_workers, sign, heartbeat_window_minutes=window), ago)


def _all_there(tables: int) -> str:
    return "The table of the task queue exists" if tables == 1 else f"All {tables} tables of the task queue exist"
