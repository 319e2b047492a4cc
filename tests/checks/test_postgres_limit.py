"""A role with `CONNECTION LIMIT 1`: one session for all checks, and the vital ones come first."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import lifesigns
from tests.checks.postgres_server import SLEEPING, WELL, engine, every_kind, result_of, server, sleeper, spec, statuses
from tests.services import Postgres, wait_until
from tests.services.cluster import PASSWORD, USER

# How many sessions the role has.
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'"
SWEEPING = """
import json, sys
from lifesigns import Engine
engine = Engine(default_timeout=5.0)
for name, spec in json.loads(sys.argv[1]).items():
    engine.register(name, spec)
for _ in range(2):
    report = engine.run(refresh=True)
    print(json.dumps({name: result["status"] for name, result in report["checks"].items()}))
"""
DIAGNOSTIC = {"postgres_statements", "postgres_connections", "pending_tasks", "failed_tasks", "task_workers"}


@pytest.fixture
def limited(postgres: Postgres) -> Iterator[dict[str, Any]]:
    """Connection parameters of a role that may have one session."""
    postgres.heartbeat()
    postgres.sql(f"CREATE ROLE limited LOGIN CONNECTION LIMIT 1 PASSWORD '{PASSWORD}'; GRANT {USER} TO limited")
    postgres.forget_statements()  # slow ones of other tests would be shown
    try:
        yield server(postgres, user="limited")
    finally:
        lifesigns.close_connections()
        wait_until(lambda: postgres.sql(OPEN) == "0")
        postgres.sql("DROP ROLE limited")


def test_every_check_shares_the_only_session(limited: dict[str, Any]) -> None:
    checks = engine(**every_kind(limited))
    for _ in range(5):
        report = checks.run(refresh=True)
        assert statuses(report) == WELL, dict(report)
        lifesigns.close_connections()
        assert statuses(checks.run(refresh=True)) == WELL


def test_vital_check_after_diagnostic_ones_is_healthy(limited: dict[str, Any]) -> None:
    checks = engine(**every_kind(limited))
    for _ in range(2):
        for kind in DIAGNOSTIC:
            assert result_of(checks, kind)["status"] == "healthy"
        assert result_of(checks, "postgres")["status"] == "healthy"


@pytest.mark.parametrize("first", ["postgres", "task_workers"])
def test_vital_check_does_not_wait_for_slow_diagnostic_statement(
    postgres: Postgres, limited: dict[str, Any], first: str
) -> None:
    kinds = every_kind({**limited, "options": "-c statement_timeout=0"})
    checks = engine(8.0, slow=sleeper({**limited, "options": "-c statement_timeout=0"}), **kinds)
    assert result_of(checks, first)["status"] == "healthy"
    slow: list[Any] = []
    waiting = threading.Thread(target=lambda: slow.append(checks.check("slow", refresh=True)))
    waiting.start()
    wait_until(lambda: postgres.sql(SLEEPING) == "1")
    for _ in range(2):
        started = time.monotonic()
        assert result_of(checks, "postgres")["status"] == "healthy"
        assert time.monotonic() - started < 3
    waiting.join()
    assert slow[0]["error_type"] == "TimeoutError"
    assert result_of(checks, "task_workers")["status"] == "healthy"


def test_session_that_the_application_keeps_is_an_error_that_names_the_limit(limited: dict[str, Any]) -> None:
    checks = engine(1.0, **every_kind(limited))
    with psycopg.connect(**limited):
        report = checks.run(refresh=True)
        assert {result["error_type"] for result in report["checks"].values()} == {"UnavailableError"}
        message = f'{limited["host"]}:{limited["port"]} cannot serve: too many connections for role "limited"'
        assert report["checks"]["postgres"]["message"] == f"{message} (SQLSTATE 53300)"
    wait_until(lambda: result_of(checks, "postgres")["status"] == "healthy")


def test_session_that_the_application_closes_in_time_is_no_error(limited: dict[str, Any]) -> None:
    checks = engine(**every_kind(limited))
    with psycopg.connect(**limited) as connection:
        closing = threading.Timer(1.0, connection.close)
        closing.start()
        assert statuses(checks.run(refresh=True)) == WELL
        closing.join()


@pytest.mark.parametrize("limit", ["ROLE limited", "DATABASE app"])
def test_session_is_given_back_where_their_number_is_limited(
    postgres: Postgres, limited: dict[str, Any], limit: str
) -> None:
    postgres.sql("ALTER ROLE limited CONNECTION LIMIT -1")
    postgres.sql(f"ALTER {limit} CONNECTION LIMIT 50")
    where = {**limited, "application_name": limit}  # what is known of another server does not count for it
    try:
        assert statuses(engine(**every_kind(where)).run(refresh=True)) == WELL
        wait_until(lambda: postgres.sql(OPEN) == "0", 5)
    finally:
        postgres.sql("ALTER DATABASE app CONNECTION LIMIT -1")


def test_processes_of_their_own_scope_share_the_only_session(limited: dict[str, Any]) -> None:
    """Each keeps to itself, and gives the session back as soon as its checks are answered."""
    command = [sys.executable, "-c", SWEEPING, json.dumps(every_kind(limited))]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = [process.communicate(timeout=60)[0] for process in processes]
    assert [json.loads(line) for lines in found for line in lines.splitlines()] == [WELL] * 6


def test_check_that_waits_for_the_session_of_another_is_no_run(postgres: Postgres, limited: dict[str, Any]) -> None:
    unlimited_time = {**limited, "options": "-c statement_timeout=0"}
    checks = engine(8.0, slow=sleeper(unlimited_time))
    checks.register("quick", spec("task_workers", unlimited_time), timeout=0.5, breaker={"failures": 1})
    before = result_of(checks, "quick")
    assert before["status"] == "healthy"
    waiting = threading.Thread(target=lambda: checks.check("slow", refresh=True))
    waiting.start()
    wait_until(lambda: postgres.sql(SLEEPING) == "1")
    for _ in range(2):
        result = result_of(checks, "quick")
        assert (result["status"], result["cached"]) == ("healthy", True)
        assert (result["timestamp"], result["circuit_state"]) == (before["timestamp"], "closed")
    postgres.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'")
    waiting.join()
    assert result_of(checks, "quick")["cached"] is False


def test_lost_session_is_replaced_within_the_run(postgres: Postgres, limited: dict[str, Any]) -> None:
    checks = engine(**every_kind(limited))
    assert statuses(checks.run(refresh=True)) == WELL
    for _ in range(2):
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'")
        report = checks.run(refresh=True)
        assert statuses(report) == WELL, report
