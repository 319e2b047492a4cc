"""A login that is taken away while its session is kept: only a new session shows it, so none is kept for long."""

from __future__ import annotations

import time

import pytest

import lifesigns
from tests.checks.postgres_server import server
from tests.checks.redis_server import Configured
from tests.loops import WHOLE
from tests.services import Postgres
from tests.services.redis import USER

LIFETIME = 300.0


@pytest.mark.skipif(not WHOLE, reason="it takes five minutes: `make soak` runs it")
@pytest.mark.timeout(400)
def test_login_that_is_taken_away__is_noticed_within_five_minutes(postgres: Postgres) -> None:
    postgres.sql("CREATE ROLE taken LOGIN PASSWORD 'taken-password'")
    checks = lifesigns.Engine(default_timeout=3)
    checks.register(
        "postgres", {"kind": "postgres", "server": server(postgres, user="taken", password="taken-password")}
    )
    with Configured() as redis:
        checks.register("redis", {"kind": "redis", "url": redis.url})
        assert checks.run()["status"] == "healthy"
        postgres.sql("ALTER ROLE taken NOLOGIN")
        redis.command("ACL", "SETUSER", USER, "resetpass", ">another-password")
        started, noticed = time.monotonic(), dict[str, float]()
        while len(noticed) < 2 and time.monotonic() - started < LIFETIME + 20:
            for name, result in checks.run(refresh=True)["checks"].items():
                if result["status"] == "error":
                    assert result["error_type"] == "AuthenticationError"
                    noticed.setdefault(name, time.monotonic() - started)
            time.sleep(1)
    assert noticed.keys() == {"postgres", "redis"}
    assert min(noticed.values()) > LIFETIME / 2, "sessions are kept"
