"""What checks in Python say of errors that a database or Python itself raises: the reason, and nothing it quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifesigns import Engine
from tests.django.projects import run_json, sqlite
from tests.services import MariaDb

ONE = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().check("NAME")))
"""


def check(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = run_json(folder, settings, ONE.replace("NAME", name))
    return found


# A user who may log in, and one who may do everything besides.
USERS = """
CREATE USER IF NOT EXISTS 'narrow'@'%' IDENTIFIED BY 'narrow-password';
CREATE USER IF NOT EXISTS 'wide'@'%' IDENTIFIED BY 'wide-password';
GRANT ALL ON *.* TO 'wide'@'%';
"""
WIDE = {"USER": "wide", "PASSWORD": "wide-password"}
UNKNOWN_AUTHORITY = {"ssl": {"ca": "/etc/ssl/certs/ca-certificates.crt"}}


@pytest.mark.services
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"PASSWORD": "hunter2hunter2"}, "{} rejected the user or the password"),
        ({"USER": "nobody"}, "{} rejected the user or the password"),
        ({"NAME": "missing"}, "{} refused the request: this user has no right to the database"),
        ({"NAME": "missing", **WIDE}, "{} refused the request: the database does not exist"),
        ({"OPTIONS": UNKNOWN_AUTHORITY}, "TLS with {} failed"),
        ({"PORT": "1"}, "{} refused the connection"),
        ({"HOST": "missing.invalid"}, "The name of {} cannot be resolved"),
    ],
)
def test_mysql__says_why_it_cannot_be_used(
    mariadb: MariaDb, tmp_path: Path, changed: dict[str, Any], expected: str
) -> None:
    mariadb.sql(USERS)
    where = {**mariadb.database("mysql"), "USER": "narrow", "PASSWORD": "narrow-password", **changed}
    found = check(tmp_path, "database_connectivity", {"DATABASES": {"default": where}})
    assert (found["status"], found["error_type"]) == ("error", "OperationalError")
    assert found["message"] == expected.format(f"{where['HOST']}:{where['PORT']}")
    assert "hunter2" not in str(found)


def test_cache_in_a_database__names_the_command_that_makes_its_table(tmp_path: Path) -> None:
    cache = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "shop_cache"}
    settings = {"DATABASES": sqlite(tmp_path), "CACHES": {"default": cache}}
    found = check(tmp_path, "default_cache", settings)
    assert found["status"] == "error"
    assert found["message"] == "Cache 'default' has no table 'shop_cache': `manage.py createcachetable` makes it"


def test_package_that_is_missing__is_named() -> None:
    def imports() -> None:
        import not_installed.client  # type: ignore[import-not-found]  # noqa: F401

    engine = Engine()
    engine.register("mine", imports, server="a.test:1")
    found = engine.check("mine")
    assert (found["error_type"], found["message"]) == ("ModuleNotFoundError", "No module named 'not_installed'")


def test_one_of_several_servers__is_not_said_of_all() -> None:
    def refused() -> None:
        raise ConnectionRefusedError

    engine = Engine()
    engine.register("mine", refused, server="a.test:1, b.test:1")
    assert engine.check("mine")["message"] == "One of a.test:1, b.test:1 refused the connection"
