"""The statements of a sweep share a round trip, over a link that takes its time and beside a statement that is slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import lifesigns
from tests.checks.postgres_server import SESSIONS, every_kind, server, spec
from tests.services import Postgres, Proxy

# In the first ones sessions are opened, for which the server loads what it loads once for each.
WARM_UP = 4
SWEEPS = 10


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    with Postgres() as own:
        own.heartbeat()
        yield own


@pytest.fixture
def proxy(own: Postgres) -> Iterator[Proxy]:
    with Proxy(own.host, own.port) as proxy:
        yield proxy


def fewest_round_trips(proxy: Proxy, checks: lifesigns.Engine) -> int:
    """Return how many a warm sweep takes; on a busy machine some take more."""
    for _ in range(WARM_UP):
        checks.run(refresh=True)
    found = []
    for _ in range(SWEEPS):
        proxy.reset_counters()
        checks.run(refresh=True)
        found.append(proxy.round_trips)
    return min(found)


def engine(where: dict[str, Any]) -> lifesigns.Engine:
    checks = lifesigns.Engine(default_timeout=5.0)
    for kind, one in every_kind(where).items():
        checks.register(kind, one)
    return checks


@pytest.mark.alone
@pytest.mark.parametrize("delay", [0.001, 0.03])
def test_sweep_over_a_link_with_delay_takes_one_round_trip_per_session(proxy: Proxy, delay: float) -> None:
    proxy.delay(delay)
    checks = engine(server(proxy, application_name=f"delayed-{delay}"))
    assert fewest_round_trips(proxy, checks) <= SESSIONS


@pytest.mark.alone
def test_slow_statement_takes_a_session_of_its_own_and_leaves_the_others_theirs(proxy: Proxy) -> None:
    where = server(proxy, application_name="one-slow")
    checks = engine(where)
    sql = "SELECT 'q', count(*), NULL::timestamptz FROM (SELECT pg_sleep(0.2)) s"
    checks.register("slow", spec("pending_tasks", where, sql=sql))
    assert fewest_round_trips(proxy, checks) <= SESSIONS + 1
