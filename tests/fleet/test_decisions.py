"""What operators decide, and what breakers do, while the fleet's Redis is away and after it is emptied."""

from __future__ import annotations

import time
from functools import partial

from tests.fleet.host import Hosts, Process
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

pytestmark = where_shared


def has_mode(process: Process, mode: str) -> bool:
    return bool(process.evaluate("engine.breaker('paid').mode") == mode)


def test_decision_while_redis_is_away_holds_everywhere_once_it_is_back(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", ttl=60, breaker=True, background=True)
    first.run()
    redis.kill()
    first.evaluate("engine.breaker('paid').force_open()")
    assert [has_mode(process, "forced-open") for process in (first, second)] == [True, False]
    redis.start()
    wait_until(partial(has_mode, second, "forced-open"), timeout=60)
    assert has_mode(first, "forced-open")


def test_later_of_two_decisions_while_redis_is_away_holds(fleet: Hosts, redis: Redis) -> None:
    first, second, third = fleet.start("a", "b", "c", ttl=60, breaker=True, background=True)
    first.run()
    redis.kill()
    first.evaluate("engine.breaker('paid').force_open()")
    # Longer than a command may take: by that much the age of a decision may be off.
    time.sleep(3)
    second.evaluate("engine.breaker('paid').disable()")
    redis.start()
    for process in (first, second, third):
        wait_until(partial(has_mode, process, "disabled"), timeout=60)
    assert all(has_mode(process, "disabled") for process in (first, second, third))


def test_decision_of_a_host_that_runs_nothing_in_the_background_is_handed_over_by_its_next_run(
    fleet: Hosts, redis: Redis
) -> None:
    first, second = fleet.start("a", "b", ttl=60, breaker=True)
    first.run()
    second.run()
    redis.kill()
    first.evaluate("engine.breaker('paid').force_closed()")
    redis.start()
    # The next run asks the store first, once that is tried again.
    wait_until(lambda: first.evaluate("engine.run(['paid'], refresh=True)") and second_follows(second), timeout=60)


def second_follows(second: Process) -> bool:
    second.evaluate("engine.run(['paid'], refresh=True)")
    return has_mode(second, "forced-closed")


def test_decision_is_given_back_to_an_emptied_redis(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", ttl=60, breaker=True, background=True)
    first.run()
    first.evaluate("engine.breaker('paid').force_open()")
    wait_until(partial(has_mode, second, "forced-open"), timeout=60)
    redis.command("FLUSHALL")
    (third,) = fleet.start("c", ttl=60, breaker=True, background=True)
    wait_until(partial(has_mode, third, "forced-open"), timeout=60)
    assert [has_mode(process, "forced-open") for process in (first, second)] == [True, True]


def test_breaker_that_opened_while_redis_was_away_is_open_on_all(fleet: Hosts, redis: Redis) -> None:
    (first,) = fleet.start("a", ttl=1, breaker=True, background=True)
    first.run()
    (second,) = fleet.start("b", ttl=1, breaker=True)
    second.run()
    redis.kill()
    (fleet.directory / "broken").touch()
    wait_until(lambda: first.evaluate("engine.breaker('paid').state") == "open", timeout=60)
    redis.start()
    (result,) = redis.command("KEYS", "lifesigns:{shop}:r:paid:*").split()
    wait_until(lambda: redis.command("HGET", result, "well") == "0", timeout=60)
    second.run()
    assert second.evaluate("engine.breaker('paid').state") == "open"
    assert {host for _, host, _ in fleet.runs()} == {"a"}
