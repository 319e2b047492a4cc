"""What the PostgreSQL services hold, and who may do what there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.services import PgBouncer, Postgres, processes


@pytest.fixture(scope="module")
def secure_postgres() -> Iterator[Postgres]:
    with Postgres(ssl=True, max_connections=7) as server:
        yield server


def test_suspend__stops_every_backend(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn) as session:
        postgres.suspend()
        tree = processes.tree(postgres.pid)
        states = {Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] for pid in tree}
        postgres.resume()
        assert session.info.backend_pid in tree
        assert states == {"T"}
        assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT ST_AsText(ST_MakePoint(0, 0))", "POINT(0 0)"),
        ("SELECT count(*) > 0 FROM pg_stat_statements", True),
        ("SELECT count(*) FROM django_session", 3),
        ("SELECT count(*) FROM background_task WHERE status = 'pending'", 3),
        ("SELECT count(*) FROM background_task_worker WHERE last_heartbeat > now() - interval '5 min'", 1),
        ("SELECT cleanup_expired_sessions() + cleanup_select2_cache()", 0),
        ("SELECT refresh_select2_materialized_views()", None),
        ("SELECT count(*) FROM pg_stat_activity WHERE query = '<insufficient privilege>'", 0),
    ],
)
def test_app__finds_what_the_checks_look_for(postgres: Postgres, query: str, expected: object) -> None:
    postgres.heartbeat()  # the server may have run for longer than a heartbeat counts
    with psycopg.connect(postgres.dsn) as session:
        assert session.execute(query.encode()).fetchone() == (expected,)


def test_app__makes_test_databases(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as session:
        session.execute("CREATE DATABASE test_app")
        postgres.create_objects("test_app")
        assert postgres.sql("SELECT count(*) FROM background_task", "test_app") == "4"
        session.execute("DROP DATABASE test_app")


@pytest.mark.parametrize("socket", [False, True], ids=["tls", "socket"])
def test_database__connects(secure_postgres: Postgres, socket: bool) -> None:
    entry = secure_postgres.database(socket=socket)
    names = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER", "password": "PASSWORD"}
    parameters = {name: str(entry[key]) for name, key in names.items()}
    options = entry.get("OPTIONS", {})
    assert isinstance(options, dict)
    with psycopg.connect(psycopg.conninfo.make_conninfo(**parameters, **options)) as session:
        assert session.pgconn.ssl_in_use is not socket
        assert session.execute("SHOW max_connections").fetchone() == ("7",)


def test_database__wrong_password_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.dsn, password="wrong")


def test_pgbouncer__transactions_share_a_server(postgres: Postgres) -> None:
    backends = set()
    with PgBouncer(postgres) as bouncer:
        for _ in range(3):
            with psycopg.connect(bouncer.dsn, prepare_threshold=None) as session:
                backends.add(session.execute("SELECT pg_backend_pid()").fetchone())
    assert len(backends) == 1
