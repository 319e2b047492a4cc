"""Further aliases on real servers: a standby, another project's database, further databases of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json, stack_settings
from tests.services import Postgres, Redis, Stack
from tests.services.postgres import Standby

pytestmark = pytest.mark.services

CHECK = """
import json, sys
from django_lifesigns.runtime.engine import get_engine, get_runtime
problems = [problem.message for problem in get_runtime().problems]
print(json.dumps([problems, get_engine().run(NAMES, refresh=True)["checks"]]))
"""
POSTGRESQL = "django.db.backends.postgresql"
DATABASES = ["database_standby", "database_legacy", "database_limited"]


@pytest.fixture(scope="module")
def standby(postgres: Postgres) -> Iterator[Standby]:
    with Standby(postgres) as standby:
        yield standby


def checks(folder: Path, settings: dict[str, Any], *names: str) -> Any:
    problems, found = run_json(folder, settings, f"NAMES = {[*names]}\n{CHECK}")
    assert problems == []
    return found


def test_databases__that_are_only_read(stack: Stack, standby: Standby, tmp_path: Path) -> None:
    stack.postgres.sql("DROP DATABASE IF EXISTS legacy")
    stack.postgres.sql("CREATE DATABASE legacy")
    stack.postgres.sql("CREATE TABLE django_migrations (app text); CREATE TABLE django_session (x int)", "legacy")
    settings = stack_settings(stack)
    default = stack.postgres.database(engine=POSTGRESQL)
    settings["DATABASES"] |= {
        "standby": {**default, "HOST": standby.host, "PORT": str(standby.port), "TEST": {"MIRROR": "default"}},
        # Its tables belong to another role.
        "legacy": {**default, "NAME": "legacy"},
        "limited": {**default, "OPTIONS": {"options": "-c default_transaction_read_only=on"}},
    }
    found = checks(tmp_path, settings, *DATABASES)
    assert {name: result["status"] for name, result in found.items()} == dict.fromkeys(DATABASES, "healthy"), found
    assert found["database_legacy"]["details"]["session_count"] is None
    assert found["database_standby"]["details"]["session_count"] is not None


def test_redis__caches_and_layers_on_one_server_are_blocked_by_its_check(stack: Stack, tmp_path: Path) -> None:
    settings = stack_settings(stack)
    cache, layer = settings["CACHES"]["default"], settings["CHANNEL_LAYERS"]["default"]
    settings["CACHES"]["sessions"] = {**cache, "LOCATION": stack.redis.url_for(4)}
    settings["CHANNEL_LAYERS"]["chat"] = layer
    names = ["redis_connectivity", "cache_sessions", "channel_layer", "channel_layer_chat"]
    found = checks(tmp_path, settings, *names)
    assert {name: result["status"] for name, result in found.items()} == dict.fromkeys(names, "healthy"), found
    with Redis() as other:
        settings["CACHES"]["default"] = {**cache, "LOCATION": other.url_for(1)}
        settings["CACHES"]["sessions"] = {**cache, "LOCATION": other.url_for(4)}
        settings["CHANNEL_LAYERS"]["chat"] = {**layer, "CONFIG": {"hosts": [other.url_for(3)]}}
        other.stop()
        found = checks(tmp_path, settings, *names)
    assert [found[name].get("blocked_by") for name in names] == [None, "redis_connectivity", None, "redis_connectivity"]
    assert [found[name]["status"] for name in names] == ["error", "error", "healthy", "error"]


def test_database_cache__is_checked_through_its_table(stack: Stack, tmp_path: Path) -> None:
    settings = stack_settings(stack)
    settings["CACHES"]["table"] = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"}
    stack.postgres.sql(
        "DROP TABLE IF EXISTS cache_table; SET ROLE app; CREATE TABLE cache_table "
        "(cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL)"
    )
    assert checks(tmp_path, settings, "cache_table")["cache_table"]["status"] == "healthy"
