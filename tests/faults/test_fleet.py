"""Faults of a fleet's Redis, with bounds wide enough for a busy machine; `make faults` drives all to the letter."""

from __future__ import annotations

import pytest

from tests.faults.fleet import Bounds, rows
from tests.process.host import where_shared

# Starts servers: not for the interpreters of the test matrix.
pytestmark = [pytest.mark.services, where_shared]

WIDE = Bounds(ready=3, sweep=10, back=40, runs=3)
# The others are in tests/fleet/test_faults.py.
SHORT = ["0.2 s", "another password", "read-only", "all connections", "mid-answer", "10 GB", "invalid bytes", "HELLO"]


# Each fault takes seconds, and the hosts as many to come back.
@pytest.mark.timeout(600)
def test_faults_of_the_store__keep_their_bounds() -> None:
    found = {row.fault: row.broken for row in rows(SHORT, WIDE, seconds=4)}
    assert len(found) == len(SHORT)
    assert {name: broken for name, broken in found.items() if broken} == {}
