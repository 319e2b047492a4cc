"""Through PgBouncer in transaction mode: it takes no start-up parameters, and its sessions are shared with others."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.checks.postgres_server import (
    MOST_SESSIONS,
    SESSIONS,
    SLEEPING,
    WELL,
    engine,
    every_kind,
    result_of,
    run,
    server,
    sleeper,
    spec,
    statuses,
)
from tests.services import PgBouncer, Postgres, Proxy, wait_until


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that tests may stop and restart."""
    with Postgres() as own:
        yield own


@pytest.fixture(scope="module")
def pool(own: Postgres) -> Iterator[PgBouncer]:
    with PgBouncer(own) as pool:
        yield pool


def test_all_checks_share_sessions(own: Postgres, pool: PgBouncer) -> None:
    own.heartbeat()
    with Proxy(pool.host, pool.port) as proxy:
        checks = engine(**every_kind(server(proxy)))
        for _ in range(3):
            assert statuses(checks.run(refresh=True)) == WELL
        # A statement that was slow, as on a busy machine, leaves the next one a session of its own.
        assert SESSIONS <= proxy.open_connections <= MOST_SESSIONS
        assert proxy.connections <= 2 * MOST_SESSIONS  # each login but the last with our own start-up parameters


def test_settings_do_not_leak_to_other_clients(pool: PgBouncer) -> None:
    where = server(pool, role="pg_monitor")
    sql = "SELECT count(*) FROM (SELECT 1 WHERE current_user = 'pg_monitor') s"
    checks = engine(x=spec("task_workers", where, sql=sql, tables=["pg_class"]))
    assert result_of(checks)["details"]["active_workers"] == 1
    with psycopg.connect(pool.dsn, autocommit=True, prepare_threshold=None) as other:
        for name, value in {
            "statement_timeout": "0",
            "lock_timeout": "0",
            "transaction_read_only": "off",
            "role": "none",
            "idle_session_timeout": "0",
        }.items():
            row = other.execute(f"SHOW {name}").fetchone()
            assert row == (value,), name


def test_overrun_statement_is_cancelled(own: Postgres, pool: PgBouncer) -> None:
    where = server(pool, application_name="pooled")
    checks = engine(0.5, x=sleeper(where), db=spec("postgres", where))
    assert result_of(checks)["error_type"] == "TimeoutError"
    wait_until(lambda: own.sql(SLEEPING) == "0", 10)
    assert result_of(checks, "db")["status"] == "healthy"


@pytest.mark.parametrize(
    ("change", "error_type"),
    [
        ({"password": "wrong-secret"}, "AuthenticationError"),
        ({"user": "nobody"}, "AuthenticationError"),
        ({"dbname": "nowhere"}, "RequestRejectedError"),
        ({"options": "-c statement_timeout=1"}, "RequestRejectedError"),
    ],
    ids=str,
)
def test_impossible_login(pool: PgBouncer, change: dict[str, str], error_type: str) -> None:
    result = run(spec("postgres", server(pool, **change)))
    assert result["error_type"] == error_type, result


def test_stopped_server_behind_pooler(own: Postgres, pool: PgBouncer) -> None:
    checks = engine(1.0, x=spec("postgres", server(pool)))
    assert result_of(checks)["status"] == "healthy"
    own.stop()
    try:
        result = result_of(checks)
        assert result["error_type"] in {"UnavailableError", "TimeoutError", "ConnectionResetError"}, result
    finally:
        own.start()
        # It would refuse all for 15 s after a login that failed.
        pool.stop()
        pool.start()
