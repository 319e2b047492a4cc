"""A Redis for each test: what a fleet keeps in it is all that there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.host import Hosts, hosts
from tests.services.redis import Redis


@pytest.fixture
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """A Redis, or the server that the test names: see `on_both`."""
    with getattr(request, "param", Redis)() as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, redis: Redis) -> Iterator[Hosts]:
    with hosts(tmp_path, redis) as found:
        yield found
