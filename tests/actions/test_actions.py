"""Actions of a plain engine: due, dry, verified, handed on, limited, run by hand."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lifesigns import CheckFailed, Engine
from tests.actions.plain_shop import FAST, WHEN, Shop, shop_with
from tests.process.host import where_shared
from tests.services import wait_until


def test_action__check_that_fails_is_healed_and_verified() -> None:
    shop, calls = shop_with(heal={})
    shop.break_down()
    shop.wait("heal healed")
    (entry,) = shop.engine.action_log()
    assert calls == ["heal"]
    assert entry["reason"].startswith("cache failed ")
    assert entry["reason"].endswith(": no answer")
    assert (entry["text"], entry["fence"], entry["cause"]) == ("heal was called", 1, "check")
    assert entry["in_words"] == "heal helped: cache is well again"
    assert entry["ended_at"] >= entry["at"] > time.time() - 60
    assert entry["process"].endswith(f":{__import__('os').getpid()}")


def test_ladder__next_rung_runs_and_the_last_asks_for_a_person(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lifesigns.actions"):
        shop, calls = shop_with(first={"then": "second"}, second={"when": None})
        shop.break_down()
        shop.wait("first not_healed", "second not_healed")
        wait_until(lambda: "a person is needed" in caplog.text)
    assert calls == ["first", "second"]
    assert shop.engine.action_log()[1]["reason"].startswith("first did not help; cache failed ")
    assert "second did not help: cache still fails; a person is needed" in caplog.text
    assert "first started: cache failed" in caplog.text


def test_dry_run__is_the_default_and_says_what_it_would_have_done(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    shop = Shop({"heal": {"action": lambda: calls.append("heal"), "when": WHEN}})
    with caplog.at_level(logging.INFO, "lifesigns.actions"):
        shop.break_down()
        shop.wait("heal would_act")
        wait_until(lambda: "heal would have acted (dry run): cache failed" in caplog.text)
    assert calls == []


def test_limits__are_kept_and_said_once() -> None:
    shop, calls = shop_with(again={"limit": {"per_hour": 5, "per_incident": 2}, "verify": 0.3})
    shop.break_down()
    shop.wait("again not_healed", "again not_healed", "again stopped")
    time.sleep(2)
    assert len(calls) == 2
    (_, _, stopped) = shop.engine.action_log()
    assert stopped["text"] == "stopped: it ran twice in this incident; a person is needed"
    assert len(shop.states()) == 3


def test_callable__raises_hangs_or_says_nothing_right() -> None:
    def failing() -> None:
        raise CheckFailed("no space")

    def hung() -> None:
        time.sleep(600)

    actions: dict[str, Any] = {
        "failing": {"action": failing, "then": "hung"},
        "hung": {"action": hung, "timeout": 0.5, "then": "odd", "when": None},
        "odd": {"action": lambda: {"x": 1}, "when": None},
    }
    shop = Shop({name: {**FAST, **entry} for name, entry in actions.items()})
    shop.break_down()
    shop.wait("failing failed", "hung failed", "odd failed")
    texts = [entry["text"] for entry in shop.engine.action_log()]
    assert texts == ["no space", "Timed out after 0.5 s", "the action returned dict, which says nothing"]


def test_start__nothing_acts_before_the_application_has_started() -> None:
    calls: list[str] = []
    shop = Shop({"heal": {**FAST, "action": lambda: calls.append("heal")}}, starts=False)
    wait_until(lambda: len(shop.engine.counters()) == 1 and shop.engine.run()["status"] == "unhealthy")
    time.sleep(3)
    assert (calls, shop.states()) == ([], [])


def test_coroutine__is_awaited_within_the_timeout() -> None:
    async def warm() -> str:
        await asyncio.sleep(0)
        return "warmed"

    async def hung() -> None:
        await asyncio.sleep(600)

    shop = Shop({"warm": {"action": warm}, "hung": {"action": hung, "timeout": 0.5}})
    shop.engine.run_action("warm", "anna")
    shop.wait("warm done")
    shop.engine.run_action("hung", "anna")
    shop.wait("warm done", "hung failed")
    assert [entry["text"] for entry in shop.engine.action_log()] == ["warmed", "Timed out after 0.5 s"]


def test_run_action__runs_a_dry_one_by_hand() -> None:
    shop, calls = shop_with(heal={"dry_run": True, "when": None})
    shop.engine.run_action("heal", "anna")
    shop.wait("heal done")
    (entry,) = shop.engine.action_log()
    assert (calls, entry["author"], entry["reason"]) == (["heal"], "anna", "anna has run it")
    with pytest.raises(LookupError, match='unknown action "x"'):
        shop.engine.run_action("x", "anna")


def test_run_action__refuses_what_only_a_wedged_worker_does() -> None:
    engine = Engine(actions={"wedged": {"action": "restart_wedged_worker", "limit": {"per_hour": 1}}})
    with pytest.raises(ValueError, match="wedged acts by itself, in a worker that is wedged"):
        engine.run_action("wedged", "anna")


def test_native_actions__command_and_breaker(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, "-c", f"open({str(made)!r}, 'w')"]
    actions: dict[str, Any] = {
        "command": {"action": "run_command", "arguments": {"argv": command}, "limit": {"per_hour": 1}},
        "reset": {"action": "reset_breaker", "arguments": {"check": "guarded"}},
        "connections": {"action": "close_stale_connections"},
    }
    engine = Engine(default_ttl=0.1, application="shop", actions=actions)
    engine.register("guarded", lambda: False, breaker={"failures": 1, "wait": 600})
    engine.run()
    assert engine.breaker("guarded").state == "open"
    engine.run_action("command", "anna")
    engine.run_action("reset", "anna")
    wait_until(lambda: [entry["state"] for entry in engine.action_log()] == ["done", "done"])
    assert made.exists()
    assert engine.breaker("guarded").state == "closed"
    with pytest.raises(ValueError, match="connections acts in each process for itself"):
        engine.run_action("connections", "anna")


@where_shared
def test_host__one_of_several_engines_acts(tmp_path: Path) -> None:
    calls: list[int] = []

    def shop(number: int) -> Shop:
        action = {**FAST, "action": lambda: calls.append(number), "verify": 30}
        return Shop({"heal": action}, share="host", store_path=tmp_path)

    shops = [shop(number) for number in range(3)]
    for one in shops:
        one.break_down()
    for one in shops:
        one.wait("heal verifying")
    time.sleep(2)
    assert len(calls) == 1
    assert shops[0].engine.action_log() == shops[2].engine.action_log()


def test_engine_without_actions__says_so() -> None:
    with pytest.raises(ValueError, match="has no actions"):
        Engine().action_log()
