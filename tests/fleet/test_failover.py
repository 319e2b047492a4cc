"""The figures of `tests.fleet.failover`, with fewer hosts and bounds that hold on a busy machine."""

from __future__ import annotations

import pytest

from tests.fleet.failover import LEASE, WAYS, measure
from tests.process.host import where_shared


# It waits for leases to run out, one after the other.
@pytest.mark.timeout(900)
@where_shared
def test_another_host_takes_over_and_no_late_result_wins() -> None:
    figures = measure(hosts=3, ttl=4.0, rounds=1)
    assert figures.failover.keys() == WAYS.keys()
    assert max(figures.failover.values()) <= 5 * LEASE, figures
    assert figures.late_results == 0, figures
