"""Errors of checks in Python name the server that they are about, and no password."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.servers import place, server_of
from django_lifesigns.checks.storage import StorageCheck
from lifesigns import Engine
from tests.django.projects import run_json, sqlite
from tests.services import Redis, free_port

REDIS = "django.core.cache.backends.redis.RedisCache"
MEMCACHED = "django.core.cache.backends.memcached.PyMemcacheCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
IN_DATABASE = "django.core.cache.backends.db.DatabaseCache"
LAYER, S3 = "channels_redis.core.RedisChannelLayer", "storages.backends.s3.S3Storage"


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("redis://cache.test:6380/1", "cache.test:6380"),
        ("redis://cache.test", "cache.test:6379"),
        ("rediss://user:hunter2@cache.test/1?db=3", "cache.test:6379"),
        ("redis://:hun,ter2@cache.test:1/0", "cache.test:1"),
        ("redis://:hun@ter2@cache.test:1/0", "cache.test:1"),
        ("redis://[::1]:6380", "[::1]:6380"),
        (("cache.test", 6379), "cache.test:6379"),
        (["::1", 6379], "[::1]:6379"),
        ("127.0.0.1:11211", "127.0.0.1:11211"),
        ("unix:/run/memcached.sock", "/run/memcached.sock"),
        ("/run/memcached.sock", "/run/memcached.sock"),
        ("unix://user:hunter2@/run/redis.sock?db=1", "/run/redis.sock"),
        ("https://objects.test/media", "objects.test"),
        # A part of the password would be shown.
        ("redis://user:12/ter2@cache.test:1/0", None),
        ("redis://cache.test/0?password=hun@ter2", None),
        ("hun@ter2:7", None),
        ("user:hunter2@cache.test:7", None),
        ("unique-snowflake", None),
        (None, None),
        (7, None),
        (b"cache.test:1", None),
    ],
)
def test_place_is_host_and_port_or_a_socket_or_nothing(address: Any, found: str | None) -> None:
    assert place(address) == found


@pytest.mark.parametrize(
    ("cache", "found"),
    [
        ({"BACKEND": REDIS, "LOCATION": ["redis://a.test", "redis://b.test:1"]}, "a.test:6379, b.test:1"),
        ({"BACKEND": REDIS, "LOCATION": "redis://a.test;redis://:h;2@b.test:1"}, "a.test:6379, b.test:1"),
        ({"BACKEND": MEMCACHED, "LOCATION": "10.0.0.1:11211;10.0.0.2:11211"}, "10.0.0.1:11211, 10.0.0.2:11211"),
        (
            {"BACKEND": REDIS, "LOCATION": "redis://main/0", "OPTIONS": {"SENTINELS": [("s.test", 26379)]}},
            "s.test:26379",
        ),
        ({"BACKEND": LOCAL, "LOCATION": "redis://a.test"}, None),
        ({"BACKEND": FILES, "LOCATION": "/var/cache"}, None),
        ({"BACKEND": IN_DATABASE, "LOCATION": "table"}, None),
        ({"BACKEND": REDIS}, None),
        ({"BACKEND": "no.such.Cache", "LOCATION": "redis://a.test"}, None),
        (None, None),
    ],
)
def test_server_of_a_cache(settings: Any, cache: Any, found: str | None) -> None:
    settings.CACHES = {"default": {"BACKEND": LOCAL}, "other": cache}
    assert server_of(CacheRoundTrip(alias="other")) == found


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"hosts": [("a.test", 1), "redis://:hunter2@b.test/2"]}, "a.test:1, b.test:6379"),
        ({"hosts": [{"address": ("a.test", 1)}, {"address": "redis://b.test"}]}, "a.test:1, b.test:6379"),
        ({"hosts": [{"sentinels": [("s.test", 26379)], "master_name": "main"}]}, "s.test:26379"),
        ({"hosts": "redis://a.test"}, "a.test:6379"),
        ({"host": "amqp://guest:hunter2@broker.test/shop"}, "broker.test:5672"),
        ({}, "localhost:6379"),
        ({"hosts": 7}, None),
    ],
)
def test_server_of_a_channel_layer(settings: Any, config: Any, found: str | None) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": LAYER, "CONFIG": config}}
    assert server_of(ChannelRoundTrip(timeout=1)) == found


@pytest.mark.parametrize(
    ("options", "more", "found"),
    [
        ({"endpoint_url": "http://127.0.0.1:9000"}, {}, "127.0.0.1:9000"),
        ({}, {"AWS_S3_ENDPOINT_URL": "https://objects.test"}, "objects.test"),
        ({"region_name": "eu-central-1"}, {}, "s3.eu-central-1.amazonaws.com"),
        ({}, {}, "s3.amazonaws.com"),
    ],
)
def test_server_of_a_storage(settings: Any, options: Any, more: Any, found: str) -> None:
    pytest.importorskip("storages.backends.s3")
    settings.STORAGES = {**settings.STORAGES, "media": {"BACKEND": S3, "OPTIONS": options}}
    for name, value in more.items():
        setattr(settings, name, value)
    assert server_of(StorageCheck(alias="media")) == found


def test_server_is_in_the_details_of_errors_alone() -> None:
    answers: list[Any] = [True, "degraded", False, {"status": "error", "details": {"server": "its own"}}]
    engine = Engine()
    engine.register("mine", lambda: answers[0], server="redis://:hunter2hunter2@a.test:1")
    found = []
    while answers:
        found.append(engine.check("mine", refresh=True).get("details", {}).get("server"))
        del answers[0]
    assert found == [None, None, "redis://***@a.test:1", "its own"]
    result = engine.check("mine", refresh=True)
    assert (result["error_type"], result["details"]) == ("IndexError", {"server": "redis://***@a.test:1"})
    with pytest.raises(ValueError, match="server must be a string, not a int"):
        engine.register("other", lambda: True, server=7)  # type: ignore[arg-type]


PROGRAM = """
import json
from django_lifesigns.runtime.engine import get_engine
engine = get_engine()
print(json.dumps([engine.check(name, deadline=5) for name in NAMES]))
"""
NAMES = ["default_cache", "cache_other", "channel_layer", "storage_media"]


@pytest.mark.services
def test_servers_that_refuse_are_named(tmp_path: Path) -> None:
    for module in ("channels_redis", "storages.backends.s3"):
        pytest.importorskip(module)
    ports = [free_port() for _ in NAMES]
    redis, other, layer, objects = ports
    settings = {
        "DATABASES": sqlite(tmp_path),
        "CACHES": {
            "default": {"BACKEND": REDIS, "LOCATION": f"redis://:hunter2hunter2@127.0.0.1:{redis}/1"},
            "other": {"BACKEND": REDIS, "LOCATION": f"redis://127.0.0.1:{other}"},
        },
        "CHANNEL_LAYERS": {
            "default": {"BACKEND": LAYER, "CONFIG": {"hosts": [f"redis://:hunter2hunter2@127.0.0.1:{layer}"]}}
        },
        "STORAGES": {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
            "media": {
                "BACKEND": S3,
                "OPTIONS": {
                    "endpoint_url": f"http://127.0.0.1:{objects}",
                    "bucket_name": "media",
                    "access_key": "key",
                    "secret_key": "hunter2hunter2",
                    "region_name": "us-east-1",
                },
            },
        },
        "LIFESIGNS": {"CHECKS": {"redis_connectivity": {"enabled": False}}},
    }
    found = run_json(tmp_path, settings, PROGRAM.replace("NAMES", repr(NAMES)))
    assert [result["status"] for result in found] == ["error"] * 4
    assert [result["details"]["server"] for result in found] == [f"127.0.0.1:{port}" for port in ports]
    assert [result["message"] for result in found] == [f"127.0.0.1:{port} refused the connection" for port in ports]
    assert "hunter2" not in json.dumps(found)


def wrapped(kind: type[Exception], cause: Exception) -> Exception:
    """An exception of a client, raised while that of the operating system was handled."""
    error = kind("hunter2hunter2")
    error.__context__ = cause
    return error


class ClientConnectionError(Exception):
    """What a client raises, whatever the reason."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionRefusedError(), "a.test:1 refused the connection"),
        (wrapped(ClientConnectionError, ConnectionRefusedError()), "a.test:1 refused the connection"),
        (wrapped(ClientConnectionError, ConnectionResetError()), "a.test:1 closed the connection"),
        (wrapped(ClientConnectionError, socket.gaierror()), "The name of a.test:1 cannot be resolved"),
        (wrapped(ClientConnectionError, TimeoutError()), "a.test:1 did not answer in time"),
        # A fault of the check, whatever it handled when it was raised.
        (wrapped(KeyError, ConnectionRefusedError()), "KeyError raised in test_check_servers.py"),
        (ClientConnectionError("hunter2hunter2"), "ClientConnectionError raised in test_check_servers.py"),
    ],
)
def test_server_that_cannot_be_reached_is_named_in_the_message(
    error: Exception, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And is an outage, of which there is one line and no traceback."""

    def check() -> None:
        raise error

    engine = Engine()
    engine.register("mine", check, server="a.test:1")
    result = engine.check("mine")
    assert result["message"].startswith(message)
    assert result["error_type"] == type(error).__name__
    assert "hunter2" not in str(result)
    assert ("Traceback" in caplog.text) == (" raised in " in message)
    assert len([line for line in caplog.messages if line.startswith("mine: ")]) == 1


HANGING = """
import json, os
from django_lifesigns.runtime.engine import get_engine
engine = get_engine()
first = engine.check("default_cache", deadline=0.3)
print(json.dumps([first, engine.check("default_cache"), engine.check("default_cache", refresh=True)]), flush=True)
os._exit(0)
"""


@pytest.mark.services
def test_server_that_hangs_is_named_before_and_after_the_timeout(tmp_path: Path) -> None:
    with Redis() as server:
        settings = {
            "DATABASES": sqlite(tmp_path),
            "CACHES": {"default": {"BACKEND": REDIS, "LOCATION": server.url_for(1)}},
            "LIFESIGNS": {"CHECKS": {"redis_connectivity": {"enabled": False}, "default_cache": {"timeout": 1}}},
        }
        server.suspend()
        found = run_json(tmp_path, settings, HANGING)
    assert [result["error_type"] for result in found] == ["PendingError", "TimeoutError", "StillRunningError"]
    assert [result["details"] for result in found] == [{"server": f"127.0.0.1:{server.port}"}] * 3
    # On a busy machine it may not have begun by then.
    assert found[0]["message"] in ("No result yet (in the function)", "No result yet (not started)")
