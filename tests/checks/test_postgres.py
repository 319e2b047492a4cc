"""PostgreSQL checks on real servers: what each finds, and what it makes of each fault."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

import lifesigns
from tests.checks.postgres_server import KINDS, TASKS, WORKERS, engine, result_of, run, server, spec
from tests.services import Postgres, wait_until
from tests.services.cluster import DATABASE

NUMBERS = itertools.count()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """An empty database of `app`, gone after the test; its name is new, since the process remembers servers."""
    name = f"scratch_{next(NUMBERS)}"
    postgres.sql(f"CREATE DATABASE {name} OWNER app TEMPLATE template0")
    yield name
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def stranger(postgres: Postgres) -> Iterator[str]:
    """A role without any right."""
    postgres.sql("CREATE ROLE stranger LOGIN PASSWORD 'stranger-secret'")
    yield "stranger"
    postgres.sql("DROP OWNED BY stranger; DROP ROLE stranger")


def test_connectivity(postgres: Postgres) -> None:
    result = run(spec("postgres", server(postgres)))
    assert result["status"] == "healthy"
    assert result["details"]["session_count"] == int(postgres.sql("SELECT count(*) FROM django_session"))
    assert result["details"]["database_version"] == postgres.sql("SHOW server_version")
    assert result["details"]["connection_status"] == "connected"


def test_connectivity__without_a_session_table(postgres: Postgres, database: str) -> None:
    checks = engine(x=spec("postgres", server(postgres, dbname=database)))
    result = result_of(checks)
    assert result["status"] == "healthy"
    assert result["details"]["session_count"] is None

    postgres.sql("CREATE TABLE django_session (); GRANT SELECT ON django_session TO app", database)
    assert result_of(checks)["details"]["session_count"] == 0
    postgres.sql("DROP TABLE django_session", database)
    for _ in range(2):
        assert result_of(checks)["details"]["session_count"] is None


def test_connectivity__huge_session_table_is_estimated(postgres: Postgres, database: str) -> None:
    postgres.sql("CREATE TABLE django_session AS SELECT n FROM generate_series(1, 50000) n", database)
    postgres.sql("ALTER TABLE django_session OWNER TO app; ANALYZE django_session", database)
    details = run(spec("postgres", server(postgres, dbname=database)))["details"]
    assert details["session_count_estimated"] is True
    assert 40_000 <= details["session_count"] <= 60_000


def test_connectivity__without_the_right_to_count(postgres: Postgres, stranger: str) -> None:
    result = run(spec("postgres", server(postgres, user=stranger, password="stranger-secret")))
    assert result["status"] == "healthy"
    assert result["details"]["session_count"] is None


def test_connectivity__while_the_session_table_is_locked(postgres: Postgres) -> None:
    checks = engine(x=spec("postgres", server(postgres)))
    assert result_of(checks)["status"] == "healthy"
    with Lock(postgres, "django_session"):
        result = result_of(checks)
    assert result["status"] == "healthy"
    assert result["details"]["session_count"] is None


class Lock:
    """A session that holds a table, until the `with` block ends."""

    def __init__(self, postgres: Postgres, table: str) -> None:
        self._connection = psycopg.connect(postgres.dsn)
        self._connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()


@pytest.mark.parametrize(
    ("change", "error_type"),
    [
        ({"password": "wrong-secret"}, "AuthenticationError"),
        ({"password": None}, "AuthenticationError"),
        ({"user": "nobody"}, "AuthenticationError"),
        ({"dbname": "nowhere"}, "RequestRejectedError"),
        ({"host": "does-not-exist.invalid"}, "NameResolutionError"),
        ({"host": "/nonexistent"}, "ConnectionError"),
        ({"sslmode": "require"}, "TLSError"),
        ({"sslmode": "verify-full", "sslrootcert": "/nonexistent/ca.pem"}, "ConfigurationError"),
        ({"service": "nowhere"}, "ConfigurationError"),
        ({"role": "nowhere"}, "RequestRejectedError"),
        ({"role": "postgres"}, "RequestRejectedError"),
        ({"options": "-c no_such_setting=1"}, "RequestRejectedError"),
    ],
    ids=str,
)
def test_connectivity__impossible_login(postgres: Postgres, change: dict[str, str | None], error_type: str) -> None:
    result = run(spec("postgres", server(postgres, **change)))
    assert (result["status"], result["error_type"]) == ("error", error_type), result
    assert "secret" not in result["message"]


def test_connectivity__assumes_the_role(postgres: Postgres) -> None:
    postgres.sql("CREATE ROLE assumed; GRANT assumed TO app")
    try:
        sql = "SELECT count(*) FROM (SELECT 1 WHERE current_user = 'assumed') s"
        workers = spec("task_workers", server(postgres, role="assumed"), sql=sql)
        assert run(workers)["details"]["active_workers"] == 1
    finally:
        postgres.sql("DROP ROLE assumed")


def test_connectivity__no_connection_left(postgres: Postgres) -> None:
    postgres.sql("ALTER ROLE app CONNECTION LIMIT 0")
    try:
        result = run(spec("postgres", server(postgres, application_name="one-too-many")))
    finally:
        postgres.sql("ALTER ROLE app CONNECTION LIMIT -1")
    assert result["error_type"] == "UnavailableError"
    assert 'too many connections for role "app"' in result["message"]


def test_every_kind_on_prepared_database(postgres: Postgres) -> None:
    postgres.heartbeat()
    postgres.sql("SELECT pg_stat_statements_reset()")
    for kind in KINDS:
        result = run(spec(kind, server(postgres)))
        assert result["status"] == ("degraded" if kind == "materialized_views" else "healthy"), (kind, result)


def test_postgis(postgres: Postgres) -> None:
    details = run(spec("postgis", server(postgres)))["details"]
    assert details["postgis_installed"] is True
    assert details["postgis_version"].startswith("3.")
    assert details["function_test"] == "passed"


def test_postgis__missing(postgres: Postgres, database: str) -> None:
    checks = engine(x=spec("postgis", server(postgres, dbname=database)))
    before = postgres.log.read_text().count("ERROR")
    for _ in range(3):
        result = result_of(checks)
        assert result["status"] == "error"
        assert result["details"]["postgis_installed"] is False
    assert postgres.log.read_text().count("ERROR") == before


def test_postgis__in_a_schema_of_its_own(postgres: Postgres, database: str) -> None:
    postgres.sql("CREATE SCHEMA gis; GRANT USAGE ON SCHEMA gis TO app; CREATE EXTENSION postgis SCHEMA gis", database)
    assert run(spec("postgis", server(postgres, dbname=database)))["status"] == "healthy"


def test_functions(postgres: Postgres) -> None:
    names = ["cleanup_expired_sessions", "public.cleanup_select2_cache", "nowhere.cleanup_select2_cache", "it's \\ no"]
    result = run(spec("postgres_functions", server(postgres), functions=names))
    assert result["status"] == "error"
    assert list(result["details"]["functions"].items()) == list(
        zip(names, ["available", "available", "missing", "missing"], strict=True)
    )
    assert result["details"]["total_functions"] == 4
    assert result["details"]["available_count"] == 2


@pytest.mark.parametrize(("required", "status"), [(True, "error"), (False, "skipped")])
def test_functions__none_of_them(postgres: Postgres, required: bool, status: str) -> None:
    result = run(spec("postgres_functions", server(postgres), functions=["no", "none"], required=required))
    assert result["status"] == status
    assert ('LIFESIGNS["POSTGRESQL_FUNCTIONS"]' in result["message"]) is not required


def test_statements__slow_ones(postgres: Postgres, database: str) -> None:
    postgres.sql("CREATE EXTENSION pg_stat_statements", database)
    checks = engine(
        x=spec("postgres_statements", server(postgres, dbname=database), slow_ms=20.0),
        easy=spec(
            "postgres_statements",
            server(postgres, dbname=database),
            slow_ms=20.0,
            thresholds={"degraded_above": 99.0, "error_above": 100.0},
        ),
    )
    postgres.sql("SELECT 'hidden-literal', pg_sleep(0.05)", database)
    postgres.sql("CREATE ROLE brief PASSWORD 'hidden-literal'; DROP ROLE brief", database)
    result = result_of(checks)
    details = result["details"]
    assert result["status"] in {"healthy", "degraded", "error"}
    assert details["slow_queries"] >= 1
    assert details["total_queries"] >= details["slow_queries"]
    share = details["slow_queries"] / details["total_queries"]
    assert details["slow_query_ratio"] == pytest.approx(share, abs=0.001)
    assert details["slow_query_ratio_percent"] == pytest.approx(100 * share, abs=0.1)
    assert 1 <= len(details["slowest"]) <= 5
    assert any("pg_sleep" in entry["query"] for entry in details["slowest"])
    assert "hidden-literal" not in str(result)
    assert result_of(checks, "easy")["status"] == "healthy"


def test_statements__without_the_extension(postgres: Postgres, database: str) -> None:
    checks = engine(x=spec("postgres_statements", server(postgres, dbname=database)))
    before = postgres.log.read_text().count("ERROR")
    for _ in range(2):
        result = result_of(checks)
        assert result["status"] == "skipped"
        assert "CREATE EXTENSION pg_stat_statements" in result["message"]
    assert postgres.log.read_text().count("ERROR") == before


def test_connections(postgres: Postgres) -> None:
    details = run(spec("postgres_connections", server(postgres)))["details"]
    assert details["max_connections"] == 100 - 3
    assert details["active_connections"] >= 1
    assert details["total_connections"] >= details["active_connections"] + details["idle_connections"]
    assert details["utilization"] == pytest.approx(details["total_connections"] / 97, abs=0.001)
    assert details["utilization_percent"] == pytest.approx(100 * details["total_connections"] / 97, abs=0.1)


def test_connections__many(postgres: Postgres) -> None:
    lifesigns.close_connections()  # those of other tests
    taken = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'"
    wait_until(lambda: int(postgres.sql(taken)) <= 3)
    counts = {"degraded_above": 5.0, "error_above": 10.0}
    checks = engine(x=spec("postgres_connections", server(postgres), thresholds=counts))
    others = []
    try:
        seen = set()
        for _ in range(12):
            others.append(psycopg.connect(postgres.dsn, autocommit=True))
            seen.add(result_of(checks)["status"])
        others[0].execute("BEGIN")
        others[0].execute("SELECT 1")
        result = result_of(checks)
        assert {"degraded", "error"} <= seen
        assert result["status"] == "error"
        assert result["details"]["idle_in_transaction_connections"] == 1
        assert result["details"]["longest_idle_in_transaction_seconds"] >= 0
    finally:
        for other in others:
            other.close()


def test_connections__without_pg_monitor(postgres: Postgres, stranger: str) -> None:
    with psycopg.connect(postgres.dsn):
        details = run(spec("postgres_connections", server(postgres, user=stranger, password="stranger-secret")))[
            "details"
        ]
    assert details["total_connections"] >= 2
    assert details["hidden_connections"] >= 1


def test_views(postgres: Postgres, database: str) -> None:
    postgres.sql(
        "CREATE MATERIALIZED VIEW full_one AS SELECT 1; CREATE MATERIALIZED VIEW empty_one AS SELECT 1 WITH NO DATA;"
        "CREATE VIEW plain AS SELECT 1",
        database,
    )
    where = server(postgres, dbname=database)
    assert run(spec("materialized_views", where, views=["full_one", "public.full_one"]))["status"] == "healthy"
    result = run(spec("materialized_views", where, views=["full_one", "empty_one", "plain", "none"]))
    assert result["status"] == "degraded"
    assert "using fallback queries" in result["message"]
    assert result["details"]["materialized_views"] == {
        "full_one": "populated",
        "empty_one": "not populated",
        "plain": "not a materialized view",
        "none": "missing",
    }


def test_task_tables(postgres: Postgres) -> None:
    result = run(spec("task_tables", server(postgres)))
    assert result["status"] == "healthy"
    assert result["details"]["task_tables_available"] is True
    assert result["details"]["table_count"] == 2
    assert result["details"]["backend"] == "background_task"

    result = run(spec("task_tables", server(postgres), tables=[*TASKS, "none"], required=False))
    assert result["status"] == "error"
    assert result["details"]["missing_tables"] == ["none"]


@pytest.mark.parametrize("kind", ["task_tables", "pending_tasks", "failed_tasks", "task_workers"])
@pytest.mark.parametrize("required", [True, False])
def test_tasks__without_tables(postgres: Postgres, database: str, kind: str, required: bool) -> None:
    checks = engine(x=spec(kind, server(postgres, dbname=database), required=required))
    before = postgres.log.read_text().count("ERROR")
    for _ in range(2):
        result = result_of(checks)
        if required:
            assert result["status"] == ("error" if kind == "task_tables" else "degraded")
        else:
            assert result["status"] == "skipped"
            assert 'LIFESIGNS["TASK_QUEUE"]' in result["message"]
    assert postgres.log.read_text().count("ERROR") == before
    postgres.create_objects(database)
    assert result_of(checks)["status"] == "healthy"
    postgres.sql(f"DROP TABLE {', '.join(TASKS + WORKERS)}", database)
    for _ in range(2):
        assert result_of(checks)["status"] != "healthy"


def test_pending(postgres: Postgres, database: str) -> None:
    postgres.create_objects(database)
    checks = engine(x=spec("pending_tasks", server(postgres, dbname=database)))
    postgres.sql("TRUNCATE background_task", database)
    result = result_of(checks)
    assert result["status"] == "healthy"
    assert result["details"] == {
        "total_pending": 0,
        "max_queue_depth": 0,
        "queue_count": 0,
        "queue_breakdown": {},
        "oldest_pending_seconds": None,
    }
    for depth, status in [(100, "healthy"), (101, "degraded"), (500, "degraded"), (501, "error")]:
        postgres.sql(
            "TRUNCATE background_task; INSERT INTO background_task (queue_name, status, created_at)"
            f" SELECT 'deep', 'pending', now() - interval '90 s' FROM generate_series(1, {depth})"
            " UNION ALL SELECT 'flat', 'pending', now() UNION ALL SELECT 'done', 'completed', now()",
            database,
        )
        result = result_of(checks)
        assert result["status"] == status
        assert result["details"]["total_pending"] == depth + 1
        assert result["details"]["max_queue_depth"] == depth
        assert result["details"]["queue_breakdown"] == {"deep": depth, "flat": 1}
        assert 90 <= result["details"]["oldest_pending_seconds"] < 120


def test_pending__of_many_queues(postgres: Postgres) -> None:
    sql = "SELECT 'queue' || n || repeat('x', 1000), n, NULL::timestamptz FROM generate_series(1, 300) n -- all"
    details = run(spec("pending_tasks", server(postgres), sql=sql))["details"]
    assert details["queue_count"] == 300
    assert details["total_pending"] == 300 * 301 / 2
    assert details["max_queue_depth"] == 300
    assert len(details["queue_breakdown"]) == 100
    assert max(map(len, details["queue_breakdown"])) == 200


@pytest.mark.parametrize(
    ("count", "status"), [(0, "healthy"), (5, "healthy"), (6, "degraded"), (20, "degraded"), (21, "error")]
)
def test_failed(postgres: Postgres, database: str, count: int, status: str) -> None:
    postgres.create_objects(database)
    postgres.sql(
        "INSERT INTO background_task (queue_name, status, updated_at)"
        f" SELECT 'q', 'failed', now() - interval '10 min' FROM generate_series(1, {count})"
        " UNION ALL SELECT 'q', 'failed', now() - interval '2 h' FROM generate_series(1, 50)",
        database,
    )
    result = run(spec("failed_tasks", server(postgres, dbname=database)))
    assert result["status"] == status
    assert result["details"] == {"failed_count_last_hour": count, "window_minutes": 60}


@pytest.mark.parametrize(("alive", "status"), [(0, "error"), (1, "degraded"), (2, "healthy"), (3, "healthy")])
def test_workers(postgres: Postgres, database: str, alive: int, status: str) -> None:
    postgres.create_objects(database)
    postgres.sql(
        "TRUNCATE background_task_worker; INSERT INTO background_task_worker"
        f" SELECT 'alive' || n, now() - interval '4 min' FROM generate_series(1, {alive}) n"
        " UNION ALL SELECT 'dead' || n, now() - interval '6 min' FROM generate_series(1, 9) n",
        database,
    )
    result = run(spec("task_workers", server(postgres, dbname=database), expected_workers=2))
    assert result["status"] == status
    assert result["details"] == {"active_workers": alive, "expected_workers": 2, "heartbeat_window_minutes": 5}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nonsense", "column"),
        ("SELEC 1", "syntax"),
        ("SELECT count(*) FROM none", "table"),
        ("SELECT setval('background_task_id_seq', 1)", "read-only"),
        ("SELECT 1/0", "SQLSTATE 22012"),
        ("SELECT 'hidden-literal'", "SQLSTATE 22P02"),
    ],
)
def test_tasks__wrong_statement(postgres: Postgres, sql: str, words: str) -> None:
    result = run(spec("failed_tasks", server(postgres), sql=sql))
    assert result["error_type"] == "RequestRejectedError"
    assert words in result["message"]
    assert "hidden" not in str(result)
    assert run(spec("failed_tasks", server(postgres)))["status"] == "healthy"


def test_tasks__without_the_right_to_read(postgres: Postgres, stranger: str) -> None:
    result = run(spec("pending_tasks", server(postgres, user=stranger, password="stranger-secret")))
    assert result["error_type"] == "RequestRejectedError"
    assert "right to read the tables background_task" in result["message"]


def test_tasks__in_a_locked_table(postgres: Postgres) -> None:
    checks = engine(x=spec("pending_tasks", server(postgres)), db=spec("postgres", server(postgres)))
    result_of(checks)
    with Lock(postgres, "background_task"):
        result = result_of(checks)
        assert result["error_type"] == "TimeoutError"
        assert "waiting for a lock" in result["message"]
        assert result_of(checks, "db")["status"] == "healthy"
    assert result_of(checks)["status"] == "healthy"


def test_over_the_unix_socket(postgres: Postgres) -> None:
    where = server(postgres, host=postgres.socket_dir, sslmode="verify-full")
    assert run(spec("postgres", where))["status"] == "healthy"
    assert DATABASE not in run(spec("postgres", where))["message"]
