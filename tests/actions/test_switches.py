"""What keeps actions from running because a person wants so, and what is wrong with their settings."""

from __future__ import annotations

from typing import Any

import pytest

from lifesigns import Engine
from tests.actions.plain_shop import shop_with


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
        ({"action": print, "scope": "fleet"}, "a.scope 'fleet' needs Engine(share='fleet')"),
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
