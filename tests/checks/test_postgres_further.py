"""Further statements of a task queue's checks on a real server: each that fails costs its own detail only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.checks.postgres_server import engine, result_of, run, server, spec
from tests.services import Postgres

FURTHER = {
    "taken_sql": "SELECT count(*), now() - interval '90 s' FROM background_task",
    "scheduled_sql": "SELECT 3",
    "overdue_sql": "SELECT count(*) FROM background_task WHERE updated_at < {since}::timestamptz - interval '1 day'",
    "finished_sql": "SELECT 10 WHERE {since} < {now}",
}
WRONG = [
    ("SELECT count(*){oldest} FROM forbidden", "lacks the right to read what it names", "healthy"),
    ("SELECT count(*){oldest} FROM gone", "SQLSTATE 42P01", "degraded"),
    ("SELECT count(", "SQLSTATE 42601", "degraded"),
    ("SELECT 'many'{oldest}", "SQLSTATE 22P02", "degraded"),
    ("SELECT 1e300{oldest}", "SQLSTATE 22003", "degraded"),
    ("SELECT -1{oldest}", "it returned a number below 0", "degraded"),
    ("SELECT count(*){oldest} FROM (SELECT pg_sleep(30)) s", "Timed out after", "healthy"),
]


@pytest.fixture
def forbidden(postgres: Postgres) -> Iterator[None]:
    postgres.sql("CREATE TABLE forbidden ()")
    yield
    postgres.sql("DROP TABLE forbidden")


def test_pending__further_statements(postgres: Postgres) -> None:
    result = run(spec("pending_tasks", server(postgres), **FURTHER))
    details = result["details"]
    assert result["status"] == "healthy"
    assert details["total_pending"] == 3
    assert (details["taken_tasks"], details["scheduled_tasks"], details["overdue_schedules"]) == (4, 3, 0)
    assert 90 <= details["oldest_taken_seconds"] < 100
    assert (details["finished_per_minute"], details["expected_wait_seconds"]) == (2.0, 90.0)
    assert "unavailable" not in details


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize(("sql", "reason", "status"), WRONG)
@pytest.mark.parametrize(("field", "detail"), [("taken_sql", "taken_tasks"), ("finished_sql", "finished_per_minute")])
def test_pending__further_statement_that_fails_costs_its_own_detail_and_is_degraded_if_it_is_wrong(
    postgres: Postgres, sql: str, reason: str, status: str, field: str, detail: str
) -> None:
    sql = sql.replace("{oldest}", ", now()" if field == "taken_sql" else "")
    checks = engine(x=spec("pending_tasks", server(postgres), **{**FURTHER, field: sql, "window_minutes": 3}))
    complete = {"taken_tasks", "scheduled_tasks", "overdue_schedules", "finished_per_minute"}
    errors = []
    for _ in range(3):
        result = result_of(checks)
        assert (result["status"], result["details"]["total_pending"]) == (status, 3), result
        assert (f"; {field} is wrong: " in result["message"]) == (status == "degraded"), result
        assert result["duration_ms"] < 3000
        assert complete - result["details"].keys() == {detail}, result
        assert reason in result["details"]["unavailable"][detail], result
        errors.append(postgres.log.read_text().count("ERROR"))
    # It is left out for a while.
    assert errors[0] == errors[-1]


def test_pending__all_further_statements_fail(postgres: Postgres) -> None:
    wrong = {field: f"SELECT count(*) FROM gone_{field}" for field in FURTHER}
    result = run(spec("pending_tasks", server(postgres), **wrong))
    assert (result["status"], result["details"]["total_pending"]) == ("degraded", 3), result
    assert all(f"{field} is wrong" in result["message"] for field in FURTHER), result
    assert len(result["details"]["unavailable"]) == 4


def test_pending__slow_own_statement_is_sent_alone_after_the_first_run(postgres: Postgres) -> None:
    sql = "SELECT 'q', count(*), NULL::timestamptz FROM (SELECT pg_sleep(1)) s"
    slow = dict.fromkeys(FURTHER, "SELECT 1, now() FROM (SELECT pg_sleep(0.2)) s")
    checks = engine(1.4, x=spec("pending_tasks", server(postgres), sql=sql, **slow))
    result_of(checks)
    for _ in range(2):
        result = result_of(checks)
        assert (result["status"], result["details"]["total_pending"]) == ("healthy", 1), result
        assert "time of the check was used up" in str(result["details"]["unavailable"]), result


def test_pending__own_statement_that_fails_is_an_error(postgres: Postgres) -> None:
    result = run(spec("pending_tasks", server(postgres), sql="SELECT 1, 2, 3, 4", **FURTHER))
    assert (result["status"], result["error_type"]) == ("error", "RequestRejectedError")


@pytest.mark.parametrize(("stuck", "status"), [(0, "healthy"), (1, "degraded")])
def test_workers__stuck_tasks(postgres: Postgres, stuck: int, status: str) -> None:
    postgres.heartbeat()
    fields: dict[str, Any] = {
        "running_sql": "SELECT 2, now() - interval '30 s'",
        "stuck_sql": f"SELECT {stuck} WHERE {{stuck_since}} < {{since}}",
    }
    result = run(spec("task_workers", server(postgres), **fields))
    assert (result["status"], result["details"]["stuck_tasks"]) == (status, stuck), result
    assert result["details"]["running_tasks"] == 2
    assert 30 <= result["details"]["oldest_running_seconds"] < 40
    without = run(spec("task_workers", server(postgres), **{**fields, "sql": None}))
    assert without["status"] == ("degraded" if stuck else "skipped")


@pytest.mark.parametrize("field", ["running_sql", "stuck_sql", "last_heartbeat_sql"])
@pytest.mark.parametrize("heartbeats", [True, False])
def test_workers__wrong_statement_is_degraded(postgres: Postgres, field: str, heartbeats: bool) -> None:
    postgres.heartbeat()
    fields = {field: "SELECT missing FROM background_task_worker", **({} if heartbeats else {"sql": None})}
    fields.setdefault("stuck_sql", "SELECT 0")
    result = run(spec("task_workers", server(postgres), **fields))
    assert (result["status"], f"; {field} is wrong: " in result["message"]) == ("degraded", True), result


def test_workers__last_heartbeat_is_in_the_message_where_none_is_left(postgres: Postgres) -> None:
    sql = "SELECT count(*) FROM (SELECT now() - interval '400 s' AS at) w WHERE at >= {since}"
    last = "SELECT now() - interval '400 s'"
    result = run(spec("task_workers", server(postgres), sql=sql, last_heartbeat_sql=last))
    assert (result["status"], "; the last heartbeat was 400 s ago" in result["message"]) == ("error", True), result
    assert result["details"]["last_heartbeat_seconds"] == 400


@pytest.mark.parametrize(("died", "status"), [(False, "degraded"), (True, "error")])
def test_workers__that_removed_themselves_are_no_error_at_once(postgres: Postgres, died: bool, status: str) -> None:
    postgres.sql("CREATE TABLE workers AS SELECT now() AS last_heartbeat; ALTER TABLE workers OWNER TO app")
    sql = f"SELECT count(*) FROM workers WHERE last_heartbeat >= {{since}} AND {died} IS NOT NULL"
    checks = engine(x=spec("task_workers", server(postgres), sql=sql, tables=["workers"]))
    assert result_of(checks)["status"] == "healthy"
    if died:
        postgres.sql("UPDATE workers SET last_heartbeat = now() - interval '6 minutes'")
        assert result_of(checks)["status"] == "error"
    postgres.sql("DELETE FROM workers")
    result = result_of(checks)
    postgres.sql("DROP TABLE workers")
    assert (result["status"], result["details"]["active_workers"]) == (status, 0), result


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("pending_tasks", {"taken_sql": " "}, "taken_sql must be one SELECT statement"),
        ("pending_tasks", {"window_minutes": 0}, "window_minutes must be at least 1, not 0"),
        ("task_workers", {"stuck_sql": ""}, "stuck_sql must be one SELECT statement"),
        ("task_workers", {"stuck_after_minutes": 0}, "stuck_after_minutes must be at least 1, not 0"),
        ("task_workers", {"sql": None}, "sql must be one SELECT statement, or stuck_sql must be given"),
    ],
)
def test_further__wrong_fields(kind: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        engine(x=spec(kind, {}, **fields))
