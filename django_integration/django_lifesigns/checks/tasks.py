"""The checks of a task queue in a database that is not PostgreSQL, by the same SQL through Django's own connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import timezone as zone
from typing import Any, ClassVar

from django.db import connections
from django.utils import timezone

from django_lifesigns.checks.timezones import utc
from lifesigns.specs import Thresholds

QUEUES_SHOWN = 100
DEPTH = Thresholds(degraded_above=100, error_above=500)
FAILURES = Thresholds(degraded_above=5, error_above=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQueueTables:
    """The tables of the queue exist; the base of what asks them."""

    without_tables: ClassVar[str] = "error"
    database: str
    backend: str
    tables: tuple[str, ...]
    required: bool = True

    def __call__(self) -> dict[str, object]:
        missing = self._missing()
        if missing and not self.required and len(missing) == len(self.tables):
            # Nothing is wrong with a project that has no task queue.
            message = "there are no tables of a task queue here: set LIFESIGNS['TASK_QUEUE'] to the queue in use"
            return {"status": "skipped", "message": message}
        if missing:
            return self._result(self.without_tables, f"missing tables of the task queue: {', '.join(missing)}", missing)
        return self._ask()

    def _ask(self) -> dict[str, object]:
        return self._result("healthy", f"all {len(self.tables)} tables of the task queue are there", [])

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

    def _rows(self, sql: str, minutes: int = 0) -> list[Any]:
        connection = connections[self.database]
        since = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(minutes=minutes))
        with connection.cursor() as cursor:
            cursor.execute(sql.replace("%", "%%").replace("{since}", "%s"), [since] * sql.count("{since}"))
            return list(cursor.fetchall())


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingTasks(TaskQueueTables):
    """Depth of each queue, judged by the deepest."""

    without_tables: ClassVar[str] = "degraded"
    sql: str
    thresholds: Thresholds = DEPTH

    def _ask(self) -> dict[str, object]:
        rows = self._rows(self.sql)
        depths = {str(queue): int(depth) for queue, depth, _ in rows}
        ages = [age for _, _, oldest in rows if (age := _age(oldest)) is not None]
        return pending(depths, self.thresholds, max(ages, default=None))


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTasks(TaskQueueTables):
    """Failures in the last `window_minutes`."""

    without_tables: ClassVar[str] = "degraded"
    sql: str
    window_minutes: int = 60
    thresholds: Thresholds = FAILURES

    def _ask(self) -> dict[str, object]:
        [(count,)] = self._rows(self.sql, self.window_minutes)
        return {
            "status": judge(count, self.thresholds),
            "message": f"{count} tasks failed in the last {self.window_minutes} minutes",
            "details": {"failed_count_last_hour": count, "window_minutes": self.window_minutes},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskWorkers(TaskQueueTables):
    """Workers with a heartbeat in the last `heartbeat_window_minutes`."""

    without_tables: ClassVar[str] = "degraded"
    sql: str
    heartbeat_window_minutes: int = 5
    expected_workers: int = 1

    def _ask(self) -> dict[str, object]:
        [(count,)] = self._rows(self.sql, self.heartbeat_window_minutes)
        window = self.heartbeat_window_minutes
        sign = f"gave a sign of life in the last {window} minutes"
        return workers(count, self.expected_workers, sign, heartbeat_window_minutes=window)


def judge(value: float, thresholds: Thresholds) -> str:
    """The status of a measured value."""
    if value > thresholds.error_above:
        return "error"
    return "degraded" if value > thresholds.degraded_above else "healthy"


def pending(depths: dict[str, int], thresholds: Thresholds, oldest_seconds: float | None) -> dict[str, object]:
    """The result for queues of these depths."""
    deepest_first = sorted(depths.items(), key=lambda item: -item[1])
    deepest = max(depths.values(), default=0)
    total = sum(depths.values())
    return {
        "status": judge(deepest, thresholds),
        "message": f"{total} tasks wait in {len(depths)} queues, at most {deepest} in one",
        "details": {
            "total_pending": total,
            "max_queue_depth": deepest,
            "queue_count": len(depths),
            "queue_breakdown": dict(deepest_first[:QUEUES_SHOWN]),
            "oldest_pending_seconds": None if oldest_seconds is None else round(oldest_seconds, 1),
        },
    }


def workers(active: int, expected: int, sign: str, **details: object) -> dict[str, object]:
    """The result for so many live workers, known by that `sign` of life; none is an error unless none is expected."""
    return {
        "status": "healthy" if active >= expected else "degraded" if active else "error",
        "message": f"{active} of {expected} expected workers {sign}",
        "details": {"active_workers": active, "expected_workers": expected, **details},
    }


def _age(oldest: object) -> float | None:
    """Seconds since a time as the database returns it: SQLite returns text."""
    if isinstance(oldest, str):
        try:
            oldest = datetime.fromisoformat(oldest)
        except ValueError:
            return None
    if not isinstance(oldest, datetime):
        return None
    return max(0.0, (datetime.now(zone.utc) - utc(oldest)).total_seconds())
