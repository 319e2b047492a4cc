"""How often the checks of a project are run that readiness rests on, while it is requested all the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json
from tests.services import Redis

pytestmark = pytest.mark.services

# Far shorter and far longer than the test takes.
READY_MAX_AGE, TTL = 0.5, 600
RUNS = 8
# Requests readiness beside the background refresh, until the server's own check has run so often; then prints how often
# the cache has. Both commands are sent by these checks alone.
PROGRAM = f"""
import json, time
from django.core.cache import caches
from django.test import Client
from django_lifesigns.runtime.engine import get_runtime

redis = caches["default"]._cache.get_client()
def calls(command):
    return redis.info("commandstats").get(f"cmdstat_{{command}}", {{}}).get("calls", 0)

runtime, before = get_runtime(), calls("ping")
runtime.engine.start_background(critical_max_age=runtime.conf.ready_max_age)
client, deadline = Client(), time.monotonic() + 60
while calls("ping") < before + {RUNS} and time.monotonic() < deadline:
    assert client.get("/ready/").status_code == 200
    time.sleep(0.02)
print(json.dumps([calls("ping") - before, calls("set")]))
"""


@pytest.fixture
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


def runs(folder: Path, server: Redis, **checks: Any) -> list[int]:
    """How often the server's own check was run, and that of its cache."""
    settings = {
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url_for(1)}
        },
        "LIFESIGNS": {"READY_MAX_AGE": READY_MAX_AGE, "DEFAULT_TTL": TTL, "CHECKS": checks},
    }
    found: list[int] = run_json(folder, settings, PROGRAM)
    return found


def test_cache__is_run_once_in_its_ttl_where_its_server_has_a_critical_check(tmp_path: Path, server: Redis) -> None:
    of_server, of_cache = runs(tmp_path, server)
    assert of_server >= RUNS
    assert of_cache == 1


def test_cache__is_run_as_often_as_readiness_wants_where_nothing_vouches_for_it(tmp_path: Path, server: Redis) -> None:
    of_server, of_cache = runs(tmp_path, server, redis_connectivity={"ttl": 0.5, "critical": False})
    assert of_server >= RUNS
    assert of_cache >= RUNS / 2


# Stops writes until the cache's check has found it, then requests readiness until it is ready again; prints whether.
RECOVERING = """
import json, time
from django.core.cache import caches
from django.test import Client
from django_lifesigns.runtime.engine import get_engine

redis, engine, client = caches["default"]._cache.get_client(), get_engine(), Client()
assert client.get("/ready/").status_code == 200
redis.config_set("maxmemory", "1")
found = engine.check("default_cache", refresh=True)
assert client.get("/ready/").status_code == 503
redis.config_set("maxmemory", "0")
deadline = time.monotonic() + 15  # half of what an error is fresh for
while client.get("/ready/").status_code != 200 and time.monotonic() < deadline:
    time.sleep(0.05)
print(json.dumps([found["status"], found["message"], client.get("/ready/").status_code]))
"""


def test_cache__that_is_well_again_is_seen_though_its_error_is_fresh(tmp_path: Path, server: Redis) -> None:
    settings = {
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url_for(1)}
        },
        "LIFESIGNS": {"READY_MAX_AGE": READY_MAX_AGE, "CHECKS": {"default_cache": {"ttl": 600}}},
    }
    status, message, code = run_json(tmp_path, settings, RECOVERING)
    assert (status, code) == ("error", 200)
    assert message.endswith("refused the request: it has reached its maxmemory")
