"""What the log of a server says of an outage: all that a person on call may have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import ROOT
from tests.django.serving import GUNICORN, serving
from tests.process.probes import fetch
from tests.services import Redis, free_port, wait_until

pytestmark = pytest.mark.services

READY = re.compile(r"^(?:.* )?Ready$", re.MULTILINE)
BROKEN = """
def check():
    raise RuntimeError("the reason")
"""


def result(address: str, check: str) -> Any:
    return fetch(address, f"/health/{check}").json()


def test_outage_is_one_line_at_its_start_and_one_at_its_end(tmp_path: Path) -> None:
    """Of two workers that look at Redis again and again, and of a check that raises each time."""
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "broken.py").write_text(BROKEN)
    with Redis() as redis:
        settings: dict[str, Any] = {
            "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}},
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis.url}},
            "LIFESIGNS": {
                "PROBE_SERVER": address,
                "SHOW_DETAILS": "always",
                "DEFAULT_TTL": 0.5,
                "DISABLED": ["memory_usage", "disk_space"],
                "CHECKS": {"broken": {"check": "broken.check", "critical": False}},
            },
        }
        path = f"{ROOT}:{ROOT / 'examples/demo'}:{tmp_path}"
        with serving((*GUNICORN, "--workers", "2"), tmp_path, settings, PYTHONPATH=path) as server:
            wait_until(lambda: code(address) == 200, 60, server.log)
            redis.stop()
            wait_until(lambda: code(address) == 503, 60, server.log)
            seen: set[str] = set()

            def is_run_again_and_again() -> bool:
                seen.update(result(address, check)["timestamp"] for check in ("redis_connectivity", "broken"))
                return len(seen) >= 10

            wait_until(is_run_again_and_again, 60, server.log)
            redis.start()
            wait_until(lambda: code(address) == 200, 60, server.log)
            wait_until(lambda: "redis_connectivity: error -> healthy" in server.log(), 60, server.log)
            wait_until(lambda: READY.search(server.log()), 60, server.log)
            broken = fetch(address, "/health/broken").body
            log = server.log()
    lines = log.splitlines()
    of_redis = [line for line in lines if "redis_connectivity: " in line]
    assert [re.findall(r"\w+ -> \w+", line) for line in of_redis] == [["healthy -> error"], ["error -> healthy"]], log
    assert len([line for line in lines if "Not ready: " in line]) == 1, log
    assert len(READY.findall(log)) == 1, log
    # Of a check's own exception its traceback, once from each worker that ran it, and no word of it in an answer.
    assert log.count("Traceback") == log.count("RuntimeError: the reason") in (1, 2), log
    assert b"the reason" not in broken
    assert b"RuntimeError" in broken


def code(address: str) -> int:
    try:
        return fetch(address, "/ready").code
    except OSError:
        return 0
