"""What the tests of django_lifesigns share: settings in, checks out; and new databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management.commands import flush
from django.core.management.sql import sql_flush
from django.db import connections

from django_lifesigns.history import recent, recorder
from django_lifesigns.runtime import guard, thresholds
from django_lifesigns.runtime.engine import reset
from django_lifesigns.runtime.thresholds import ThresholdSync
from django_lifesigns.settings.conf import read
from django_lifesigns.settings.problems import Problem
from django_lifesigns.targets.discovered import DiscoveredCheck
from django_lifesigns.targets.discovery import discover
from lifesigns import checks as declared
from tests.services import MariaDb, Postgres

NewDatabase = Callable[..., dict[str, Any]]
# What Django adds after migrations, and would add again after each test that commits: 40 ms of a processor.
ADDED = ('"auth_permission"', '"django_content_type"')


@pytest.fixture(scope="session", autouse=True)
def content_types_stay() -> Iterator[None]:
    """The flush that follows a test with `transaction=True` empties all other tables."""

    def statements(*arguments: Any, **options: Any) -> list[str]:
        found = sql_flush(*arguments, **options)
        return [statement for statement in found if not any(table in statement for table in ADDED)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", statements)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_, **__: None)
        yield


@pytest.fixture(autouse=True)
def mistakes_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server would log, and go on, fails a test."""
    monkeypatch.setattr(guard, "RAISES", True)


@pytest.fixture
def as_in_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The history and the thresholds are written and read on threads of the engine, as outside of tests."""
    for module in (recorder, recent, thresholds):
        monkeypatch.setattr(module, "is_under_test", lambda: False)


@pytest.fixture
def as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers with the manager of the replaced application is forgotten with it."""
    from django_lifesigns.health_checks import global_health_manager, register_all_checks

    monkeypatch.setattr(declared, "DECLARED", {})
    monkeypatch.setattr(global_health_manager, "checks", {})
    monkeypatch.setattr(global_health_manager, "_seen", set())
    register_all_checks()
    reset()
    yield
    reset()


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets DATABASES["default"] for what only reads settings. Nothing connects to it."""
    # Threads of the engine, which outlive the test, would keep a connection to it as their default one.
    monkeypatch.setattr(ThresholdSync, "sync", lambda *_: None)

    def configure(**settings: Any) -> None:
        configured = connections.configure_settings({"default": settings})
        monkeypatch.setitem(connections.settings, "default", configured["default"])

    return configure


@pytest.fixture
def discovered(settings: Any) -> Callable[..., tuple[dict[str, DiscoveredCheck], list[Problem]]]:
    """The checks, by name, of a project with these settings, and what is wrong with them."""

    def look(**values: Any) -> tuple[dict[str, DiscoveredCheck], list[Problem]]:
        for name, value in values.items():
            setattr(settings, name, value)
        conf = read()
        found, problems = discover(conf)
        return {check.name: check for check in found}, [*conf.problems, *problems]

    return look


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    with MariaDb() as server:
        yield server


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.services),
        pytest.param("mariadb", marks=pytest.mark.services),
    ]
)
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Makes an empty database, runs statements in it, and gives its entry for DATABASES: a function for each kind."""

    def sqlite(statements: str = "") -> dict[str, Any]:
        with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as connection:
            connection.executescript(statements)
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}

    def postgresql(statements: str = "") -> dict[str, Any]:
        server: Postgres = request.getfixturevalue("postgres")
        name = f"test_{uuid4().hex}"
        server.sql(f"CREATE DATABASE {name} OWNER app")
        server.sql(f"SET ROLE app; {statements}", name)
        return {**server.database(engine="django.db.backends.postgresql"), "NAME": name}

    def mariadb(statements: str = "") -> dict[str, Any]:
        server: MariaDb = request.getfixturevalue("mariadb")
        name = f"test_{uuid4().hex}"
        server.sql(f"CREATE DATABASE {name}; USE {name}; {statements}")
        return server.database(name)

    return {"sqlite": sqlite, "postgresql": postgresql, "mariadb": mariadb}[request.param]
