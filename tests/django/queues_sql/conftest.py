"""What the tests of the queues share: environments, and databases of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.django.queues_sql.environments import Environments
from tests.services import Postgres
from tests.services.mariadb import MariaDb

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments(tmp_path_factory.mktemp("environments"))


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Makes an entry of `DATABASES` with an empty database of that engine."""

    def make(engine: str) -> dict[str, Any]:
        name = f"queue_{next(NUMBERS)}"
        if engine == "sqlite":
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / f"{name}.sqlite")}
        if engine == "mariadb":
            mariadb: MariaDb = request.getfixturevalue("mariadb")
            mariadb.sql(f"CREATE DATABASE {name}")
            # A session in another zone than UTC, in which Django keeps times.
            return {**mariadb.database(name), "OPTIONS": {"init_command": "SET time_zone = '-05:00'"}}
        postgres: Postgres = request.getfixturevalue("postgres")
        postgres.sql(f"CREATE DATABASE {name} OWNER app TEMPLATE template0")
        postgres.sql(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
        return {**postgres.database(engine="django.db.backends.postgresql"), "NAME": name}

    return make
