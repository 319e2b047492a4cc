"""Actions of a plain engine: due, dry, verified, handed on, stopped, limited, switched off, run by hand."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifesigns import CheckFailed, Engine
from tests.alerts.receiver import Receiver
from tests.process.host import where_shared
from tests.services import wait_until

WHEN = {"check": "cache", "runs": 2, "seconds": 0}
FAST = {"when": WHEN, "cooldown": 0.2, "verify": 1.5, "dry_run": False}


@pytest.fixture(autouse=True)
def no_engine_is_left() -> Iterator[None]:
    yield
    gc.collect()


class Shop:
    """An engine whose critical check ``cache`` fails while `broken` says so; `calls` are those of its actions."""

    def __init__(self, actions: dict[str, Any], *, starts: bool = True, **options: Any) -> None:
        # What the callables refer to, which outlive this object otherwise.
        self._state = state = {"broken": not starts}
        self.calls: list[str] = []
        self.engine = Engine(default_ttl=0.1, application="shop", actions=actions, **options)

        def cache() -> dict[str, str]:
            return {"status": "error" if state["broken"] else "healthy", "message": "no answer"}

        self.engine.register("cache", cache)
        self.engine.start_background()
        if starts:
            # As a probe of `/startup` does: the service looks once a second, and may come too late to see it pass.
            wait_until(lambda: self.engine.has_started(self.engine.run()["status"] == "healthy"))

    def break_down(self) -> None:
        self._state["broken"] = True

    def heal(self) -> None:
        self._state["broken"] = False

    def states(self) -> list[str]:
        return [f"{entry['name']} {entry['state']}" for entry in self.engine.action_log()]

    def wait(self, *states: str, timeout: float = 30) -> None:
        try:
            wait_until(lambda: self.states() == list(states), timeout)
        except TimeoutError:
            assert self.states() == list(states)


def shop_with(**entries: Any) -> tuple[Shop, list[str]]:
    """A shop with actions that note their calls, and heal it where they are called ``heal``."""
    calls: list[str] = []
    shops: list[Shop] = []

    def act(name: str) -> str:
        calls.append(name)
        if name == "heal":
            shops[0].heal()
        return f"{name} was called"

    actions = {name: {**FAST, "action": act, "arguments": {"name": name}, **entry} for name, entry in entries.items()}
    shops.append(Shop(actions))
    return shops[0], calls


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


def test_switch__keeps_all_or_one_from_running() -> None:
    shop, calls = shop_with(heal={})
    engine = shop.engine
    assert engine.switch_action(None, False, "anna")
    assert not engine.switch_action(None, False, "bert")
    assert engine.actions()["off"] == "anna"
    shop.break_down()
    shop.wait("heal stopped")
    assert engine.action_log()[0]["text"] == "stopped: actions are switched off by anna"
    assert engine.switch_action("heal", False, "carl")
    assert engine.switch_action(None, True, "anna")
    assert [one["disabled_by"] for one in engine.actions()["actions"]] == ["carl"]
    with pytest.raises(LookupError, match="did you mean"):
        engine.switch_action("heall", False, "carl")
    assert engine.switch_action("heal", True, "carl")
    shop.wait("heal stopped", "heal healed")
    assert calls == ["heal"]


@pytest.mark.parametrize("value", ["off", "disabled", "0"])
def test_environment__switches_all_actions_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFESIGNS_ACTIONS", value)
    shop, calls = shop_with(heal={})
    shop.break_down()
    shop.wait("heal stopped")
    assert calls == []
    assert shop.engine.actions()["off"] == "the environment (LIFESIGNS_ACTIONS)"


@pytest.mark.parametrize("value", ["", "on", "True"])
def test_environment__leaves_actions_on(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFESIGNS_ACTIONS", value)
    assert Engine(actions={"a": {"action": print}}).actions()["off"] is None


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


def test_incident__says_what_a_dry_run_would_have_done_and_so_does_its_alert() -> None:
    with Receiver() as receiver:
        alerts = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.1]}
        shop = Shop({"warm": {"action": print, "when": WHEN}}, alerts=alerts)
        shop.break_down()

        def noted() -> list[str]:
            found = [one["timeline"] for one in shop.engine.incidents() if one["check"] == "cache"]
            return [entry["text"] for timeline in found for entry in timeline if entry["kind"] == "action"]

        wait_until(lambda: len(noted()) == 1, 30)
        assert noted()[0].startswith("warm would have acted (dry run): cache failed ")
        shop.heal()
        wait_until(lambda: "resolved" in receiver.kinds, 30)
        sent = [body["data"] for body in receiver.bodies if body["data"]["check"] == "cache"]
        assert sent[-1]["actions"] == noted()


def test_incident__says_what_was_done_and_so_does_its_alert() -> None:
    with Receiver() as receiver:
        alerts = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.1]}
        shop = Shop({"warm": {**FAST, "action": lambda: "warmed"}}, alerts=alerts)
        shop.break_down()
        wait_until(lambda: len(receiver.kinds) >= 1)

        def noted() -> list[str]:
            timelines = [found["timeline"] for found in shop.engine.incidents() if found["check"] == "cache"]
            return [entry["text"] for entry in timelines[0] if entry["kind"] == "action"] if timelines else []

        wait_until(lambda: any("did not help: cache still fails" in text for text in noted()))
        assert noted()[0].startswith("warm ")
        assert "cache failed" in noted()[0]
        shop.heal()
        wait_until(lambda: "resolved" in receiver.kinds)
        sent = [body["data"] for body in receiver.bodies if body["data"]["check"] == "cache"]
        assert sent[-1]["actions"][:2] == noted()[:2]


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


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"action": "warm"}, 'a.action "warm" is unknown'),
        ({"action": "run_commnd"}, 'did you mean "run_command"'),
        ({}, "action"),
        ({"action": "run_command", "arguments": {"argv": ["true"]}}, "limit.per_hour is required"),
        ({"action": "restart_wedged_worker"}, "limit.per_hour is required"),
        ({"action": "reload_gunicorn", "limit": {"per_hour": 0}}, "limit.per_hour must be an int from 1 to 60"),
        ({"action": "reset_breaker", "arguments": {}}, "arguments"),
        ({"action": "close_stale_connections", "scope": "host"}, 'scope must be "process"'),
        ({"action": print, "scope": "fleet"}, "a.scope must be one of 'process', 'host'"),
        ({"action": print, "when": {"check": "x", "runs": 0}}, "when.runs"),
        ({"action": print, "when": {"check": "x", "state": "error"}}, "state"),
        ({"action": print, "then": "a"}, "leads back to it"),
        ({"action": print, "then": "b"}, "which is no action"),
        ({"action": print, "timeout": 0}, "timeout"),
        ({"action": print, "cooldown": -1}, "cooldown"),
    ],
)
def test_settings__what_is_wrong_is_named(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="actions") as raised:
        Engine(actions={"a": entry})
    assert said in str(raised.value)


def test_engine_without_actions__says_so() -> None:
    with pytest.raises(ValueError, match="has no actions"):
        Engine().action_log()
