"""A role with `CONNECTION LIMIT 1`: one session for all checks, and the vital ones come first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import lifesigns
from tests.checks.postgres_server import SLEEPING, WELL, engine, every_kind, result_of, server, sleeper, statuses
from tests.services import Postgres, wait_until
from tests.services.cluster import PASSWORD, USER

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
        wait_until(lambda: postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'") == "0")
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


def test_session_that_the_application_has_is_an_error(limited: dict[str, Any]) -> None:
    checks = engine(**every_kind(limited))
    with psycopg.connect(**limited):
        report = checks.run(refresh=True)
        assert {result["error_type"] for result in report["checks"].values()} == {"UnavailableError"}
        assert "all of its connections are taken" in report["checks"]["postgres"]["message"]
    wait_until(lambda: result_of(checks, "postgres")["status"] == "healthy")


def test_lost_session_is_replaced_within_the_run(postgres: Postgres, limited: dict[str, Any]) -> None:
    checks = engine(**every_kind(limited))
    assert statuses(checks.run(refresh=True)) == WELL
    for _ in range(2):
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'")
        report = checks.run(refresh=True)
        assert statuses(report) == WELL, report
