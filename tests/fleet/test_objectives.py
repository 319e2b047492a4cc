"""Objectives of a fleet: one host works them out, and all hosts know what it has found."""

from __future__ import annotations

from tests.fleet.host import Hosts, Process
from tests.process.host import where_shared
from tests.services.redis import Redis

pytestmark = where_shared
FOUND = {"paid": {"ratio": 0.999, "budget_remaining": 0.25, "burn_rates": {"5m": 2.0}, "alarm": None}}
REMAINING = 'health_error_budget_remaining_ratio{check_name="paid"} 0.25'


def is_shown(process: Process) -> bool:
    return REMAINING in process.evaluate("lifesigns.metrics(engine)")


def test_objectives__one_host_works_them_out_for_all(fleet: Hosts, redis: Redis) -> None:
    first, second, third = fleet.start("a", "b", "c")
    assert first.evaluate("engine.awaits_objectives()") is True
    # It is the one that does, and has not handed them out yet.
    assert second.evaluate("engine.awaits_objectives()") is False
    assert not is_shown(second)
    first.evaluate(f"engine.set_objectives({FOUND!r})")
    for process in (second, third):
        assert process.evaluate("engine.awaits_objectives()") is False
    assert all(is_shown(process) for process in (first, second, third))
    redis.kill()
    # Each host is on its own then.
    assert third.evaluate("engine.awaits_objectives()") is True
