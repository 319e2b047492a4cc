"""The checks in Python of databases, caches and channel layers: what they find."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.connections import identity
from django_lifesigns.checks.database import DatabaseConnectivity
from tests.django.projects import run_json

LAYER = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


class ForgetfulCache(LocMemCache):
    """Keeps nothing."""

    def get(self, *args: Any, **kwargs: Any) -> None:
        return None


class LaggingCache(LocMemCache):
    """Is read from a replica that is 200 ms behind."""

    first_read_at = 0.0

    def set(self, *args: Any, **kwargs: Any) -> None:
        super().set(*args, **kwargs)
        self.first_read_at = 0.0

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.first_read_at = self.first_read_at or time.monotonic()
        return super().get(*args, **kwargs) if time.monotonic() - self.first_read_at >= 0.2 else None


class BrokenCache(LocMemCache):
    """Cannot be read."""

    def get(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError("redis://:hunter2@h")


@pytest.mark.django_db
def test_database__sqlite() -> None:
    result = DatabaseConnectivity()()
    details: Any = result["details"]
    assert result["status"] == "healthy"
    assert details["database_version"].startswith("SQLite 3.")
    assert details["session_count"] == 0
    assert details["connection_status"] == "connected"


@pytest.mark.django_db(transaction=True)
def test_database__no_session_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session RENAME TO elsewhere")
    try:
        details: Any = DatabaseConnectivity()()["details"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_session")
    assert details["session_count"] is None


@pytest.mark.django_db
@pytest.mark.parametrize(("rows", "shown"), [(10_000, (10_000, None)), (10_001, (10_000, True))])
def test_database__counts_sessions_up_to_a_limit(rows: int, shown: Any) -> None:
    now = timezone.now()
    Session.objects.bulk_create(Session(session_key=str(n), session_data="", expire_date=now) for n in range(rows))
    with CaptureQueriesContext(connection) as queries:
        details: Any = DatabaseConnectivity()()["details"]
    assert (details["session_count"], details.get("session_count_estimated")) == shown
    assert any("LIMIT 10001" in query["sql"] for query in queries)


@pytest.mark.parametrize(
    ("engine", "host", "expected"),
    [
        ("mssql", "h", ("healthy", "SQL Server")),
        ("mongodb", "h", ("healthy", "MongoDB 8.0.4")),
        ("mongodb", "", ("error", None)),
    ],
)
def test_database__of_another_engine(tmp_path: Path, engine: str, host: str, expected: Any) -> None:
    database = {"ENGINE": f"tests.django.other_backends.{engine}", "NAME": str(tmp_path / "db.sqlite3"), "HOST": host}
    program = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().check("database_connectivity")))
"""
    result = run_json(tmp_path, {"DATABASES": {"default": database}}, program)
    assert (result["status"], result.get("details", {}).get("database_version")) == expected, result


def test_cache__read_from_a_replica_that_lags(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.LaggingCache"}}
    result: Any = CacheRoundTrip(alias="default", lag=20)()
    assert result["status"] == "healthy"
    assert result["details"]["replica_lag_ms"] >= 200
    assert CacheRoundTrip(alias="default")()["status"] == "error"
    assert CacheRoundTrip(alias="default", lag=0.1)()["status"] == "error"


def test_cache__round_trip() -> None:
    assert CacheRoundTrip(alias="default")()["details"] == {
        "backend": "django.core.cache.backends.locmem.LocMemCache",
        "read_write_test": "passed",
    }


def test_cache__leaves_no_key() -> None:
    CacheRoundTrip(alias="default")()
    assert not [key for key in vars(caches["default"])["_cache"] if "lifesigns" in key]


def test_cache__keeps_nothing(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.ForgetfulCache"}}
    result = CacheRoundTrip(alias="default")()
    assert result["status"] == "error"
    assert result["details"] == {"backend": f"{__name__}.ForgetfulCache", "read_write_test": "failed"}


def test_cache__raises(settings: Any) -> None:
    from django_lifesigns.runtime.engine import get_engine

    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}
    result = get_engine().check("default_cache")
    assert result["error_type"] == "ConnectionError"
    assert "hunter2" not in str(result)


def test_channels__round_trip(settings: Any) -> None:
    settings.CHANNEL_LAYERS = LAYER
    result: Any = ChannelRoundTrip(timeout=5)()
    assert result["status"] == "healthy"
    assert result["details"] == {"backend": LAYER["default"]["BACKEND"], "send_receive_test": "passed"}


def test_channels__does_not_touch_the_layer_in_use(stack: Any, settings: Any) -> None:
    """channels_redis lets only one event loop receive on a layer; a consumer waits on it all the time."""
    from channels.layers import channel_layers

    settings.CHANNEL_LAYERS = stack.settings()["CHANNEL_LAYERS"]

    async def consumer_and_check() -> tuple[Any, Any]:
        layer = channel_layers["default"]
        channel = await layer.new_channel()
        waiting = asyncio.create_task(layer.receive(channel))
        await asyncio.sleep(0.1)
        result = await asyncio.to_thread(ChannelRoundTrip(timeout=5))
        await layer.send(channel, {"type": "hello"})
        message = await asyncio.wait_for(waiting, 5)
        await layer.close_pools()
        return result, message

    result, message = asyncio.run(consumer_and_check())
    assert result["status"] == "healthy"
    assert message == {"type": "hello"}


def test_database__sqlite_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(bytes(range(1, 256)) * 200)
    settings = {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "garbage")}}}
    program = """
import json
from lifesigns import Engine
from django_lifesigns.checks.connections import runnable
from django_lifesigns.checks.database import DatabaseConnectivity
engine = Engine(log=False)
engine.register("database", runnable(DatabaseConnectivity()))
print(json.dumps(engine.check("database")))
"""
    assert run_json(tmp_path, settings, program)["status"] == "error"


def test_identity__differs_with_a_password_and_shows_none(settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "redis://:hunter2@h"}
    }
    first = identity(CacheRoundTrip(alias="default"))
    assert first == identity(CacheRoundTrip(alias="default"))
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "redis://:hunter3@h"}
    }
    assert first != identity(CacheRoundTrip(alias="default"))
    assert "hunter" not in str(first)
