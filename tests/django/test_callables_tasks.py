"""The checks of a task queue through Django's own connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_lifesigns.checks import last_seen
from django_lifesigns.checks.task_results import after_last_seen, judge, workers
from django_lifesigns.checks.tasks import FailedTasks, PendingTasks, TaskQueueTables, TaskWorkers
from django_lifesigns.targets.queues.background_task import background_task
from lifesigns.specs import Thresholds

QUEUE = background_task()
TABLES: dict[str, Any] = {"database": "default", "backend": "x"}


@pytest.fixture
def queue_tables(db: None) -> Iterator[None]:
    now = timezone.now()
    tasks = [
        ("a", "PENDING", 30),
        ("a", "pending", 10),
        ("b", "pending", 20),
        ("a", "Failed", 30),
        ("a", "failed", 4000),
    ]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE background_task (queue_name text, status text, updated_at datetime)")
        cursor.execute("CREATE TABLE background_task_worker (worker_id text, last_heartbeat datetime)")
        for queue, status, seconds in tasks:
            at = connection.ops.adapt_datetimefield_value(now - timedelta(seconds=seconds))
            cursor.execute("INSERT INTO background_task VALUES (%s, %s, %s)", [queue, status, at])
        for seconds in (10, 299, 301):
            at = connection.ops.adapt_datetimefield_value(now - timedelta(seconds=seconds))
            cursor.execute("INSERT INTO background_task_worker VALUES ('w', %s)", [at])
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE background_task")
        cursor.execute("DROP TABLE background_task_worker")


@pytest.mark.usefixtures("queue_tables")
def test_tasks__tables() -> None:
    result = TaskQueueTables(tables=QUEUE.tables, **TABLES)()
    assert result["status"] == "healthy"
    assert result["details"] == {
        "task_tables_available": True,
        "table_count": 2,
        "missing_tables": [],
        "backend": "x",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("required", "status"), [(True, "error"), (False, "skipped")])
def test_tasks__no_tables(required: bool, status: str) -> None:
    assert TaskQueueTables(tables=QUEUE.tables, required=required, **TABLES)()["status"] == status


@pytest.mark.usefixtures("queue_tables")
def test_tasks__some_tables() -> None:
    result: Any = TaskQueueTables(tables=("background_task", "gone"), required=False, **TABLES)()
    assert (result["status"], result["details"]["missing_tables"]) == ("error", ["gone"])
    pending = PendingTasks(tables=("background_task", "gone"), sql="SELECT 1", required=False, **TABLES)()
    assert pending["status"] == "degraded"


@pytest.mark.usefixtures("queue_tables")
def test_tasks__pending() -> None:
    result: Any = PendingTasks(tables=("background_task",), sql=str(QUEUE.pending_sql), **TABLES)()
    details = result["details"]
    assert result["status"] == "healthy"
    assert details["queue_breakdown"] == {"a": 2, "b": 1}
    assert (details["total_pending"], details["max_queue_depth"], details["queue_count"]) == (3, 2, 2)
    assert 29 < details["oldest_pending_seconds"] < 60


@pytest.mark.usefixtures("queue_tables")
def test_tasks__pending_none() -> None:
    sql = str(QUEUE.pending_sql).replace("'pending'", "'100% new'")
    result: Any = PendingTasks(tables=("background_task",), sql=sql, **TABLES)()
    assert result["status"] == "healthy"
    assert result["details"]["queue_breakdown"] == {}
    assert result["details"]["oldest_pending_seconds"] is None


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize(
    ("seconds", "options", "status"),
    [
        (86_300, {}, "healthy"),
        (86_500, {}, "degraded"),
        (86_500, {"oldest_seconds": 0}, "healthy"),
        (700, {"oldest_seconds": 600}, "degraded"),
        (700, {"oldest_seconds": 600, "thresholds": Thresholds(degraded_above=0, error_above=0)}, "error"),
    ],
)
def test_tasks__pending_oldest_is_judged(seconds: int, options: Any, status: str) -> None:
    sql = f"SELECT 'mail', 1, datetime('now', '-{seconds} seconds')"
    if connection.vendor != "sqlite":
        sql = f"SELECT 'mail', 1, now() - interval '{seconds}' second"
    result: Any = PendingTasks(tables=("background_task",), sql=sql, **TABLES, **options)()
    assert result["status"] == status, result
    assert ("; the oldest has waited for " in result["message"]) is (status != "healthy")


@pytest.mark.usefixtures("queue_tables")
def test_tasks__failed() -> None:
    few = Thresholds(degraded_above=0, error_above=5)
    result = FailedTasks(tables=("background_task",), sql=str(QUEUE.failed_sql), thresholds=few, **TABLES)()
    assert result["status"] == "degraded"
    assert result["details"] == {"failed_count_last_hour": 1, "window_minutes": 60}


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize(("expected", "status"), [(2, "healthy"), (3, "degraded")])
def test_tasks__workers(expected: int, status: str) -> None:
    tables = ("background_task_worker",)
    result = TaskWorkers(tables=tables, sql=str(QUEUE.workers_sql), expected_workers=expected, **TABLES)()
    assert result["status"] == status
    assert result["details"] == {
        "active_workers": 2,
        "expected_workers": expected,
        "heartbeat_window_minutes": 5,
    }


@pytest.mark.usefixtures("queue_tables")
def test_tasks__messages_count_as_those_of_the_native_checks() -> None:
    one, failed = "SELECT 'a', 1, NULL", str(QUEUE.failed_sql)
    table: dict[str, Any] = {"tables": ("background_task",), **TABLES}
    for check, message in [
        (TaskQueueTables(**table), "The table of the task queue exists"),
        (PendingTasks(sql=one, **table), "1 task pending in 1 queue, at most 1 in one"),
        (PendingTasks(sql=str(QUEUE.pending_sql), **table), "3 tasks pending in 2 queues, at most 2 in one"),
        (FailedTasks(sql=failed, **table), "1 task failed in the last 60 minutes"),
        (FailedTasks(sql="SELECT 0", window_minutes=1, **table), "0 tasks failed in the last 1 minute"),
    ]:
        result: Any = check()
        assert result["message"] == message


PENDING: dict[str, Any] = {"tables": ("background_task",), "sql": str(QUEUE.pending_sql), **TABLES}
WORKERS: dict[str, Any] = {"tables": ("background_task_worker",), "sql": str(QUEUE.workers_sql), **TABLES}


@pytest.mark.usefixtures("queue_tables")
def test_pending__further_statements() -> None:
    result: Any = PendingTasks(
        taken_sql="SELECT count(*), min(updated_at) FROM background_task WHERE queue_name = 'b'",
        scheduled_sql="SELECT count(*) FROM background_task WHERE updated_at > {now}",
        finished_sql="SELECT count(*) FROM background_task WHERE updated_at >= {since}",
        overdue_sql="SELECT count(*) FROM background_task WHERE updated_at < {since}",
        **PENDING,
    )()
    details = result["details"]
    assert (details["taken_tasks"], details["scheduled_tasks"], details["overdue_schedules"]) == (1, 0, 1)
    assert 19 < details["oldest_taken_seconds"] < 50
    assert (details["finished_per_minute"], details["expected_wait_seconds"]) == (0.8, 225.0)
    assert result["status"] == "degraded"
    assert result["message"].endswith("; 1 schedule is overdue")
    assert "unavailable" not in details


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ("SELECT count(*) FROM gone", "degraded"),
        ("SELECT missing FROM background_task", "degraded"),
        ("SELECT 'many'", "degraded"),
        ("SELECT", "degraded"),
        (ENDLESS, "healthy"),
    ],
)
def test_pending__further_statement_that_fails_costs_its_own_detail_and_is_degraded_if_it_is_wrong(
    wrong: str, status: str
) -> None:
    started = time.monotonic()
    result: Any = PendingTasks(scheduled_sql=wrong, finished_sql="SELECT 5", **PENDING)()
    assert time.monotonic() - started < 3
    assert result["status"] == status
    assert ("; scheduled_sql is wrong: " in result["message"]) == (status == "degraded"), result
    assert result["details"]["total_pending"] == 3
    assert result["details"]["finished_per_minute"] == 1.0
    assert "scheduled_tasks" not in result["details"]
    assert list(result["details"]["unavailable"]) == ["scheduled_tasks"]
    with connection.cursor() as cursor:
        assert cursor.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize(
    "value",
    ["'0001-01-01 00:00:00+05:00'", "'9999-12-31 23:59:59-05:00'", "'garbage'", "1700000000"],
)
def test_time_that_is_none_costs_its_own_detail_and_is_degraded(value: str) -> None:
    pending: Any = PendingTasks(taken_sql=f"SELECT 1, {value}", **PENDING)()
    workers: Any = TaskWorkers(last_heartbeat_sql=f"SELECT {value}", **WORKERS)()
    for result, field in ((pending, "taken_sql"), (workers, "last_heartbeat_sql")):
        assert (result["status"], f"; {field} is wrong: it returned" in result["message"]) == ("degraded", True), result
    assert (pending["details"]["total_pending"], workers["details"]["active_workers"]) == (3, 2)


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize("number", ["9e999", "-9e999", "-1", "1e300", "9223372036854775807 + 1.0"])
def test_number_that_is_no_count_costs_its_own_detail_and_is_degraded(number: str) -> None:
    statements: dict[str, Any] = dict.fromkeys(("scheduled_sql", "finished_sql", "overdue_sql"), f"SELECT {number}")
    result: Any = PendingTasks(**statements, **PENDING)()
    assert (result["status"], result["details"]["total_pending"]) == ("degraded", 3), result
    assert all(f"{field} is wrong: it returned no number from 0" in result["message"] for field in statements), result


@pytest.mark.usefixtures("queue_tables")
def test_pending__oldest_task_at_a_time_that_is_none() -> None:
    odd: Any = {**PENDING, "sql": "SELECT 'q', 1, '0001-01-01 00:00:00+05:00'"}
    result: Any = PendingTasks(**odd)()
    assert (result["status"], result["details"]["oldest_pending_seconds"]) == ("healthy", None)


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize(("stuck", "status"), [(0, "healthy"), (2, "degraded")])
def test_workers__stuck_tasks(stuck: int, status: str) -> None:
    running = "SELECT count(*), min(updated_at) FROM background_task WHERE updated_at < {stuck_since}"
    sql = f"SELECT {stuck} WHERE {{stuck_since}} < {{since}}"
    result: Any = TaskWorkers(running_sql=running, stuck_sql=sql, **WORKERS)()
    assert (result["status"], result["details"]["stuck_tasks"]) == (status, stuck)
    assert result["details"]["running_tasks"] == 1
    assert 4000 <= result["details"]["oldest_running_seconds"] < 4060
    without: Any = TaskWorkers(stuck_sql=sql, **{**WORKERS, "sql": None})()
    assert without["status"] == ("degraded" if stuck else "skipped")
    assert "active_workers" not in without["details"]


@pytest.mark.usefixtures("queue_tables")
@pytest.mark.parametrize("field", ["running_sql", "stuck_sql", "last_heartbeat_sql"])
@pytest.mark.parametrize("sql", [WORKERS["sql"], None])
def test_workers__wrong_statement_is_degraded(field: str, sql: str | None) -> None:
    result: Any = TaskWorkers(**{**WORKERS, "sql": sql, field: "SELECT count(*) FROM gone"})()
    assert (result["status"], f"{field} is wrong" in result["message"]) == ("degraded", True), result


@pytest.mark.usefixtures("queue_tables")
def test_workers__last_heartbeat_is_in_the_message_where_none_is_left() -> None:
    check = TaskWorkers(**WORKERS, last_heartbeat_sql=QUEUE.last_heartbeat_sql)
    result: Any = check()
    assert result["details"]["last_heartbeat_seconds"] < 60
    assert "last heartbeat" not in result["message"]
    with connection.cursor() as cursor:
        old = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(minutes=6))
        cursor.execute("UPDATE background_task_worker SET last_heartbeat = %s", [old])
    result = check()
    assert (result["status"], "; the last heartbeat was 36" in result["message"]) == ("error", True), result


@pytest.mark.usefixtures("queue_tables")
def test_workers__that_removed_themselves_are_no_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check = TaskWorkers(**WORKERS)
    assert check()["status"] == "healthy"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM background_task_worker")
    # However often, and also in a process that has not seen them itself.
    for known in (last_seen._known, last_seen._known, {}):
        monkeypatch.setattr(last_seen, "_known", known)
        result = check()
        assert result["status"] == "degraded"
        assert str(result["message"]).startswith("No worker is registered any more")
    monkeypatch.setattr(last_seen, "note_workers", lambda *_: 301.0)
    assert check()["status"] == "error"


@pytest.mark.usefixtures("queue_tables")
def test_workers__that_died_are_an_error_also_when_their_rows_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    check = TaskWorkers(**WORKERS)
    assert check()["status"] == "healthy"
    with connection.cursor() as cursor:
        old = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(minutes=6))
        cursor.execute("UPDATE background_task_worker SET last_heartbeat = %s", [old])
        assert check()["status"] == "error"
        cursor.execute("DELETE FROM background_task_worker")
    assert check()["status"] == "error"
    monkeypatch.setattr(last_seen, "_known", {})
    assert check()["status"] == "error"


@pytest.mark.parametrize(
    ("status", "seconds", "expected"),
    [
        ("error", 299.0, "degraded"),
        ("error", 300.0, "error"),
        ("error", None, "error"),
        ("healthy", 1.0, "healthy"),
        ("degraded", 1.0, "degraded"),
    ],
)
def test_workers__that_were_seen_before_a_deploy(status: str, seconds: float | None, expected: str) -> None:
    result = after_last_seen({"status": status, "message": "m"}, seconds, 300)
    assert (result["status"], "one was seen" in result["message"]) == (expected, status != expected)


@pytest.mark.parametrize(("active", "expected", "status"), [(0, 0, "healthy"), (0, 1, "error"), (2, 1, "healthy")])
def test_workers__table(active: int, expected: int, status: str) -> None:
    assert workers(active, expected, "live")["status"] == status


@pytest.mark.parametrize(("value", "status"), [(100, "healthy"), (101, "degraded"), (500, "degraded"), (501, "error")])
def test_judge__table(value: int, status: str) -> None:
    assert judge(value, Thresholds(degraded_above=100, error_above=500)) == status
