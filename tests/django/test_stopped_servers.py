"""Readiness while servers are stopped (they accept connections and never answer): in time, and naming the causes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.django.projects import ROOT
from tests.django.serving import GUNICORN, Server, answers, send_request, serving
from tests.services import Postgres, Redis, wait_until
from tests.services.cluster import USER

pytestmark = pytest.mark.services

# As READY_BUDGET is, with what a request through gunicorn takes on a busy machine.
SECONDS = 0.8 + 0.4
# Where the cause is known: far less than READY_BUDGET.
SOON = 0.65
REDIS = "django.core.cache.backends.redis.RedisCache"
CHECKS = {"postgres": "database_connectivity", "redis": "redis_connectivity"}
EMPTY_DATABASE = "without_functions"
# What says nothing of the cause.
EMPTY = ("No result yet", "")


@dataclass(frozen=True, slots=True)
class Dependencies:
    postgres: Postgres
    redis: Redis


@pytest.fixture(scope="module")
def dependencies() -> Iterator[Dependencies]:
    """Of these tests alone: others would wait for them."""
    with Postgres() as postgres, Redis() as redis:
        postgres.sql(f"CREATE DATABASE {EMPTY_DATABASE} OWNER {USER}")
        yield Dependencies(postgres, redis)


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, dependencies: Dependencies, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    # A database without the functions and the tables that the others have.
    entry = {**dependencies.postgres.database(engine="django.db.backends.postgresql"), "NAME": EMPTY_DATABASE}
    # Shorter than they are by default, for a test that is short.
    checks = {
        "database_connectivity": {"timeout": 1.5},
        "redis_connectivity": {"timeout": 1},
        "default_cache": {"timeout": 1},
        # Skipped here, and given less time than the database.
        "postgresql_functions": {"timeout": 0.5},
        "task_queue": {"timeout": 0.5},
    }
    settings: dict[str, Any] = {
        "DATABASES": {"default": entry},
        "CACHES": {"default": {"BACKEND": REDIS, "LOCATION": dependencies.redis.url_for(1)}},
        "LIFESIGNS": {
            "SHARE": request.param,
            "SHOW_DETAILS": "always",
            "READY_MAX_AGE": 0.5,
            "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
            "CHECKS": checks,
        },
    }
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples/demo")))
    with serving((*GUNICORN, "--workers", "2", "--threads", "4"), folder, settings, PYTHONPATH=path) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        yield server


def ready(server: Server, seconds: float = SECONDS) -> tuple[int, dict[str, Any]]:
    """The code of `/ready/` and its details, within the budget."""
    started = time.monotonic()
    code, _, body = send_request(server.port, "/ready/", host="localhost")
    took = time.monotonic() - started
    assert took < seconds, (took, body)
    return code, json.loads(body).get("details", {})


def from_both_workers(server: Server) -> list[int]:
    """Codes of requests at the same time: more than the threads of one worker."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda _: send_request(server.port, "/ready/", host="localhost")[0], range(32)))


@pytest.mark.parametrize("server", ["process", "host"], indirect=True)
@pytest.mark.parametrize("stopped", [("postgres",), ("redis",), ("postgres", "redis")], ids="+".join)
def test_stopped_servers_are_the_causes_that_readiness_names(
    server: Server, dependencies: Dependencies, stopped: tuple[str, ...]
) -> None:
    wait_until(lambda: all(code == 200 for code in from_both_workers(server)), 60, server.log)
    _, _, body = send_request(server.port, "/health/", host="localhost")
    checks = json.loads(body)["checks"]
    assert {checks[name]["status"] for name in ("postgresql_functions", "task_queue")} == {"skipped"}
    causes = {CHECKS[name] for name in stopped}
    with ExitStack() as undo:
        for name in stopped:
            service = getattr(dependencies, name)
            undo.callback(service.resume)
            service.suspend()
        unnamed: list[dict[str, Any]] = []

        def are_named() -> bool:
            code, details = ready(server)
            assert code == 200 or causes & details.keys(), details
            unnamed.extend(result for result in details.values() if result["message"] in EMPTY)
            return code == 503 and causes <= details.keys()

        # Of both workers: where they share nothing each finds out by itself.
        # Without the pauses of `wait_until`, which grow: results that nobody requests meanwhile are too old to stand.
        ended = time.monotonic() + 20
        while not all(are_named() for _ in range(20)):
            assert time.monotonic() < ended, server.log()
            time.sleep(0.02)
        # From now on each answer of each worker, whatever runs meanwhile.
        ended = time.monotonic() + 4
        while time.monotonic() < ended:
            code, details = ready(server, SOON)
            assert code == 503
            assert causes <= details.keys(), details
            for name in causes:
                # A run may be under way after a result that is too old to stand.
                assert details[name]["message"].startswith(("Timed out", "No result yet")), details
            # Not those whose server answers, nor skipped ones whose run was under way when the server stopped.
            others = {name for name, result in details.items() if result.get("blocked_by") not in causes}
            assert others <= {*causes, *(("default_cache",) if "redis" in stopped else ())}, details
            time.sleep(0.1)
        # A request that waits for one of two servers lets the result of the other get too old to stand.
        assert len(stopped) > 1 or unnamed == []
    wait_until(lambda: all(ready(server)[0] == 200 for _ in range(10)), 60, server.log)
