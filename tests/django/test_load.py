"""What workers cost their dependencies: as many queries, counted on the servers, with eight of them as with one."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.django.projects import stack_settings
from tests.django.serving import GUNICORN, serving
from tests.process.probes import fetch
from tests.services import Stack, free_port, wait_until

SECONDS = 20.0
# Short, so that there are many sweeps in that time.
TTL = 1.0


def counted(stack: Stack) -> dict[str, int]:
    """How many statements and commands the servers have executed."""
    import redis

    with redis.Redis.from_url(stack.redis.url) as client:
        commands: dict[str, dict[str, int]] = client.info("commandstats")
    statements = stack.postgres.sql("SELECT sum(calls) FROM pg_stat_statements")
    return {"postgresql": int(float(statements)), "redis": sum(command["calls"] for command in commands.values())}


def ready(address: str) -> bool:
    with suppress(OSError):
        return fetch(address, "/ready", timeout=5).code == 200
    return False


def known(address: str) -> int:
    """How many workers there are."""
    with suppress(OSError):
        metrics = fetch(address, "/metrics", timeout=5).body.decode()
        return metrics.count("\nhealth_interpreter_lag_seconds{")
    return 0


def per_minute(stack: Stack, folder: Path, workers: int) -> dict[str, float]:
    """What so many workers request in a minute while they are probed ten times a second."""
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    options: dict[str, Any] = {"PROBE_SERVER": address, "SHOW_DETAILS": "always", "DEFAULT_TTL": TTL}
    settings = stack_settings(stack, **options)
    with serving((*GUNICORN, "--workers", str(workers)), folder, settings) as server:
        wait_until(lambda: known(address) == workers and ready(address), 90, server.log)
        time.sleep(3 * TTL)  # until their first requests are over
        before, began = counted(stack), time.monotonic()
        while time.monotonic() - began < SECONDS:
            assert ready(address)
            time.sleep(0.1)
        took = time.monotonic() - began
        after = counted(stack)
        return {name: (after[name] - before[name]) * 60 / took for name in after}


def test_queries__with_eight_workers_as_with_one(stack: Stack, tmp_path: Path) -> None:
    one = per_minute(stack, tmp_path / "one", 1)
    eight = per_minute(stack, tmp_path / "eight", 8)
    for name, queries in one.items():
        print(f"{name}: {queries:.0f} a minute with 1 worker, {eight[name]:.0f} with 8")
        # A worker that checks for itself would make it eight times as many.
        assert queries > 60
        assert 0.5 < eight[name] / queries < 1.6, (name, one, eight)
