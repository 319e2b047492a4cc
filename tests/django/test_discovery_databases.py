"""From DATABASES to the checks of databases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.checks.database import DatabaseConnectivity
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.tasks import TaskQueueTables
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.databases import DEFAULT_FUNCTIONS
from django_lifesigns.targets.dependencies import OF_TASK_QUEUE
from django_lifesigns.targets.postgres_options import server_of
from lifesigns import specs

POSTGRESQL = "django.db.backends.postgresql"
ON_POSTGRESQL = {
    "database_connectivity": specs.Postgres,
    "postgresql_functions": specs.PostgresFunctions,
    "task_queue": specs.TaskTables,
    "database_performance": specs.PostgresStatements,
    "connection_pool": specs.PostgresConnections,
    "pending_tasks": specs.PendingTasks,
    "failed_tasks": specs.FailedTasks,
    "task_workers": specs.TaskWorkers,
}


def settings_of(**given: Any) -> dict[str, Any]:
    """As Django completes a database's settings."""
    return {"NAME": "app", "USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}, **given}


@pytest.mark.parametrize(
    ("given", "expected", "ignored"),
    [
        ({}, {"dbname": "app"}, set()),
        (
            {"USER": "u", "PASSWORD": "p", "HOST": "h", "PORT": "5433"},
            {"dbname": "app", "user": "u", "password": "p", "host": "h", "port": 5433},
            set(),
        ),
        ({"NAME": None}, {"dbname": "postgres"}, set()),
        ({"NAME": None, "OPTIONS": {"service": "s"}}, {"dbname": "postgres"}, set()),
        ({"NAME": "", "OPTIONS": {"service": "s"}}, {"service": "s"}, set()),
        ({"USER": "wins", "OPTIONS": {"user": "loses"}}, {"dbname": "app", "user": "wins"}, set()),
        ({"OPTIONS": {"dbname": "wins"}}, {"dbname": "wins"}, set()),
        ({"OPTIONS": {"assume_role": "r"}}, {"dbname": "app", "role": "r"}, set()),
        ({"OPTIONS": {"connect_timeout": "3"}}, {"dbname": "app", "connect_timeout": 3}, set()),
        ({"OPTIONS": {"connect_timeout": None, "sslmode": None}}, {"dbname": "app"}, set()),
        (
            {"OPTIONS": {"pool": True, "server_side_binding": True, "isolation_level": 2}},
            {"dbname": "app"},
            set(),
        ),
        # As they come from a URL: "?pool=true&server_side_binding=true&connect_timeout=5".
        (
            {"OPTIONS": {"pool": "true", "server_side_binding": "true", "connect_timeout": "5"}},
            {"dbname": "app", "connect_timeout": 5},
            set(),
        ),
        ({"HOST": "a,b", "PORT": "5432,5433"}, {"dbname": "app", "host": "a,b", "port": "5432,5433"}, set()),
        ({"NAME": Path("app"), "HOST": Path("/run"), "USER": 7}, {"dbname": "app", "host": "/run", "user": "7"}, set()),
        (
            {"OPTIONS": {"sslcertmode": "allow", "requirepeer": "x"}},
            {"dbname": "app"},
            {"sslcertmode", "requirepeer"},
        ),
        *(
            ({"OPTIONS": {key: value}}, {"dbname": "app", key: value}, set())
            for key, value in {
                "sslmode": "verify-full",
                "sslrootcert": "/ca.pem",
                "sslcert": "/cert.pem",
                "sslkey": "/key.pem",
                "sslcrl": "/list.pem",
                "target_session_attrs": "read-write",
                "channel_binding": "require",
                "sslnegotiation": "direct",
                "hostaddr": "10.0.0.1,10.0.0.2",
                "host": "a,b",
                "options": "-c search_path=x",
                "application_name": "web",
                "passfile": "/pass",
            }.items()
        ),
    ],
)
def test_server_of__table(given: Any, expected: Any, ignored: set[str]) -> None:
    assert server_of(settings_of(**given), "X") == (specs.PostgresServer(**expected), ignored)


@pytest.mark.parametrize(
    "given",
    [
        {"NAME": ""},
        {"PORT": "hunter2"},
        {"OPTIONS": {"connect_timeout": "hunter2"}},
        {"OPTIONS": {"isolation_level": 9}},
        {"OPTIONS": {"pool": True}, "CONN_MAX_AGE": 60},
        {"OPTIONS": {"pool": True}, "CONN_MAX_AGE": None},
        {"OPTIONS": None},
        {"OPTIONS": ["hunter2"]},
    ],
)
def test_server_of__wrong(given: Any) -> None:
    with pytest.raises(WrongTargetError) as caught:
        server_of(settings_of(**given), "DATABASES['x']")
    assert "DATABASES['x']" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_server_of__pool_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    with pytest.raises(WrongTargetError, match=r"without psycopg\[pool\]"):
        server_of(settings_of(OPTIONS={"pool": True}), "X")


@pytest.mark.parametrize(
    "engine", [POSTGRESQL, "django.contrib.gis.db.backends.postgis", "django_prometheus.db.backends.postgresql"]
)
def test_discover__postgresql(discovered: Any, database: Any, engine: str) -> None:
    if engine.startswith("django_prometheus"):
        pytest.importorskip("django_prometheus")
    database(ENGINE=engine, NAME="app", HOST="db", PASSWORD="hunter2")
    found, problems = discovered()
    server = specs.PostgresServer(dbname="app", host="db", password="hunter2")
    assert problems == []
    for name, kind in ON_POSTGRESQL.items():
        assert isinstance(found[name].check, kind)
        assert found[name].check.server == server
        parent = "task_queue" if name in OF_TASK_QUEUE else "database_connectivity"
        assert found[name].options.get("depends_on") == (None if name == "database_connectivity" else (parent,))
    assert isinstance(found["postgis_extension"].check, specs.Postgis if "gis" in engine else specs.Skipped)


def test_discover__option_that_libpq_refuses(discovered: Any, database: Any) -> None:
    database(ENGINE=POSTGRESQL, NAME="app", OPTIONS={"sslmod": "require", "charset": "hunter2", "sslmode": "require"})
    found, problems = discovered()
    assert [problem.id for problem in problems] == ["W005", "W005"]
    for name, problem in zip(("charset", "sslmod"), problems, strict=True):
        assert f"libpq has no option {name!r}" in problem.message
    check = found["database_connectivity"].check
    assert isinstance(check, FixedResult)
    assert (check.status, "hunter2" in check.message) == ("error", False)
    # One check says so.
    for name in ON_POSTGRESQL.keys() - {"database_connectivity"}:
        assert isinstance(found[name].check, specs.Skipped)
        assert "see the check database_connectivity" in found[name].check.reason
    found, problems = discovered(LIFESIGNS={"DISABLED": ["database_connectivity"]})
    assert [problem.id for problem in problems] == ["W005", "W005"]
    assert isinstance(found["connection_pool"].check, FixedResult)


@pytest.mark.parametrize("lifesigns", [{}, {"REQUIRED": "all"}])
@pytest.mark.parametrize(
    "given",
    [
        {"ENGINE": "tests.django.token_backend", "PASSWORD": "", "OPTIONS": {"use_iam_auth": True}},
        {"ENGINE": POSTGRESQL, "PASSWORD": lambda: "made"},
        {"ENGINE": POSTGRESQL, "OPTIONS": {"password": object()}},
    ],
)
def test_discover__password_made_at_each_login(discovered: Any, database: Any, given: Any, lifesigns: Any) -> None:
    database(NAME="app", **given)
    found, problems = discovered(LIFESIGNS=lifesigns)
    assert problems == []
    assert found["database_connectivity"].check == DatabaseConnectivity()
    for name in ("postgis_extension", "postgresql_functions", "database_performance", "connection_pool"):
        check = found[name].check
        assert isinstance(check, specs.Skipped)
        assert "makes its password at each login" in check.reason
    for name in ("task_queue", "pending_tasks"):
        assert isinstance(found[name].check, TaskQueueTables)


def test_discover__postgis_installed(discovered: Any, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    database(ENGINE=POSTGRESQL, NAME="app")
    monkeypatch.setattr("django_lifesigns.targets.databases.apps.is_installed", "django.contrib.gis".__eq__)
    assert isinstance(discovered()[0]["postgis_extension"].check, specs.Postgis)


def test_discover__sqlite(discovered: Any) -> None:
    found, problems = discovered()
    assert problems == []
    assert found["database_connectivity"].check == DatabaseConnectivity()
    for name in ("postgis_extension", "postgresql_functions", "database_performance", "connection_pool"):
        assert found[name].check == specs.Skipped(reason="use PostgreSQL in DATABASES['default'] for this check")


def test_discover__no_database(discovered: Any, database: Any) -> None:
    database()
    found, problems = discovered()
    assert problems == []
    assert found["database_connectivity"].check == specs.Skipped(reason="set DATABASES to check a database")
    assert isinstance(found["task_queue"].check, specs.Skipped)


def test_discover__engine_that_is_not_installed(discovered: Any, database: Any) -> None:
    database(ENGINE="no.such.engine", NAME="app")
    found, problems = discovered()
    assert [problem.id for problem in problems] == ["W005"]
    assert isinstance(found["database_connectivity"].check, FixedResult)
    assert isinstance(found["memory_usage"].check, specs.Memory)


@pytest.mark.parametrize(
    ("lifesigns", "functions", "required"),
    [
        ({}, DEFAULT_FUNCTIONS, False),
        ({"REQUIRED": ["postgresql_functions"]}, DEFAULT_FUNCTIONS, True),
        ({"POSTGRESQL_FUNCTIONS": ["f"]}, ("f",), True),
    ],
)
def test_discover__functions(discovered: Any, database: Any, lifesigns: Any, functions: Any, required: bool) -> None:
    database(ENGINE=POSTGRESQL, NAME="app")
    check = discovered(LIFESIGNS=lifesigns)[0]["postgresql_functions"].check
    assert (tuple(check.functions), check.required) == (functions, required)


def test_discover__options_in_part(discovered: Any, database: Any) -> None:
    database(ENGINE=POSTGRESQL, NAME="app", OPTIONS={"sslcertmode": "require"})
    problems = discovered()[1]
    assert [problem.id for problem in problems] == ["W002"]
    assert "sslcertmode" in problems[0].message


@pytest.mark.parametrize(
    ("name", "status"), [("postgis_extension", "error"), ("connection_pool", "degraded"), ("mqtt_broker", "degraded")]
)
@pytest.mark.parametrize("as_list", [True, False])
def test_discover__required_without_target(discovered: Any, name: str, status: str, as_list: bool) -> None:
    check = discovered(LIFESIGNS={"REQUIRED": [name] if as_list else "all"})[0][name].check
    assert isinstance(check, FixedResult)
    assert check.status == status
