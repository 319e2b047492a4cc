"""`ACTIONS`: what is wrong is named and left out, and the rest acts; nothing can restart without a limit."""

from __future__ import annotations

from typing import Any

import pytest

from django_lifesigns.actions.config import engine_actions
from django_lifesigns.settings.conf import parse

SCOPES = {"default_cache": "host", "database_connectivity": None, "pending_tasks": "fleet"}
WHEN = {"check": "default_cache", "runs": 3, "seconds": 30}


def found(**settings: Any) -> tuple[dict[str, Any], list[str]]:
    """The actions that can be used, and what is wrong."""
    conf = parse(settings)
    assert conf.problems == ()
    actions, problems = engine_actions(conf, SCOPES)
    return actions, [f"{problem.id} {problem.text}" for problem in problems]


def warm() -> str:
    return "warm"


HERE = f"{__name__}.warm"


def test_settings__none_configured_is_none_used() -> None:
    assert found() == ({}, [])


def test_settings__each_action_can_be_configured() -> None:
    limit = {"per_hour": 3}
    actions, problems = found(
        ACTIONS={
            "close": {"action": "close_stale_connections", "when": WHEN, "then": "warm"},
            "warm": {"action": "warm_cache", "arguments": {"callable": HERE}, "then": "keys"},
            "keys": {"action": "warm_cache", "arguments": {"keys": {"a": HERE}}, "then": "command"},
            "command": {"action": "management_command", "arguments": {"name": "check"}, "then": "own"},
            "own": {"action": HERE, "then": "reload"},
            "reload": {"action": "reload_gunicorn", "limit": limit},
            "wedged": {"action": "restart_wedged_worker", "limit": limit},
            "unit": {
                "action": "run_command",
                "arguments": {"argv": ["true"]},
                "limit": limit,
                "when": {"check": "database_connectivity"},
            },
        }
    )
    assert problems == []
    assert len(actions) == 8
    assert actions["wedged"]["arguments"]["wedged_after"] == 30
    assert actions["close"]["action"].action_name == "close_stale_connections"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"action": "warm_cach"}, "E007 LIFESIGNS['ACTIONS']['a']: unknown action. Did you mean 'warm_cache'?"),
        ({"action": "reload_gunicorn"}, "E002 LIFESIGNS['ACTIONS']['a']: limit.per_hour is required"),
        ({"action": "restart_wedged_worker"}, "limit.per_hour is required: it can restart what serves"),
        ({"action": "run_command", "arguments": {"argv": ["true"]}}, "limit.per_hour is required"),
        ({"action": "warm_cache"}, "takes 'callable' or 'keys', and not both"),
        ({"action": "warm_cache", "arguments": {"callable": "shop.none"}}, "cannot be imported"),
        ({"action": "warm_cache", "arguments": {"key": 1}}, "'arguments' of warm_cache are cache, callable, keys"),
        ({"action": "warm_cache", "arguments": {"callable": HERE, "cache": "none"}}, "CACHES does not have"),
        ({"action": "management_command", "arguments": {"name": "none"}}, "which is no management command"),
        ({"action": "nowhere.at.all"}, "cannot be imported"),
        ({"action": HERE, "arguments": {"x": 1}}, "'x'"),
        ({"action": HERE, "when": {"check": "default_cach"}}, "E003 LIFESIGNS['ACTIONS']['a'] names an unknown check"),
        ({"action": HERE, "when": WHEN, "then": "b"}, "E007 LIFESIGNS['ACTIONS']['a']: 'then' names 'b'"),
        ({"action": HERE, "when": WHEN, "then": "a"}, "leads back to it"),
        ({"action": HERE}, "W017 LIFESIGNS['ACTIONS']['a'] runs by hand only"),
        ({"action": HERE, "when": {**WHEN, "status": "bad"}}, "status"),
        (17, "must be a dict"),
    ],
)
def test_settings__what_is_wrong_is_named(entry: Any, said: str) -> None:
    _, problems = found(ACTIONS={"a": entry})
    assert len(problems) == 1, problems
    assert said in problems[0]


def test_settings__a_wrong_action_leaves_the_others() -> None:
    actions, problems = found(ACTIONS={"a": {"action": "none"}, "b": {"action": HERE, "when": WHEN, "then": "a"}})
    assert list(actions) == ["b"]
    assert actions["b"]["then"] is None
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("entry", "share", "said"),
    [
        (
            {"check": "pending_tasks"},
            "host",
            "and LIFESIGNS['SHARE'] is not. Set 'scope' to 'host'",
        ),
        ({"check": "default_cache"}, "fleet", "'scope' is 'fleet', and each host checks 'default_cache' for itself."),
    ],
)
def test_settings__fleet_scope_needs_a_fleet_and_a_check_of_it(entry: dict[str, str], share: str, said: str) -> None:
    action = {"action": HERE, "when": entry, "scope": "fleet"}
    actions, problems = found(ACTIONS={"a": action}, SHARE=share)
    assert actions == {}
    assert problems[0].startswith("E002 ")
    assert said in problems[0]


@pytest.mark.parametrize("check", ["pending_tasks", "database_connectivity"])
def test_settings__fleet_scope_is_taken_for_a_check_of_the_fleet(check: str) -> None:
    action = {"action": HERE, "when": {"check": check}, "scope": "fleet"}
    actions, problems = found(ACTIONS={"a": action}, SHARE="fleet")
    assert (list(actions), problems) == (["a"], [])


def test_settings__ladder_is_the_fleets_or_none_of_it() -> None:
    first = {"action": HERE, "when": {"check": "pending_tasks"}, "scope": "fleet", "then": "b"}
    actions, problems = found(ACTIONS={"a": first, "b": {"action": HERE}}, SHARE="fleet")
    assert actions == {}
    assert "a.then must have the same scope: one of them is the fleet's" in problems[0]


def test_settings__wedged_workers_need_a_store_that_is_shared() -> None:
    entry = {"action": "restart_wedged_worker", "limit": {"per_hour": 3}}
    assert found(ACTIONS={"a": entry}, SHARE="process")[1][0].startswith("W017 ")


def test_settings__a_celery_pool_needs_its_setting_and_a_limit() -> None:
    from django_lifesigns.checks.celery_app import application

    app = application()
    entry = {"action": "restart_celery_pool", "when": WHEN}
    assert "worker_pool_restarts" in found(ACTIONS={"a": entry})[1][0]
    app.conf.worker_pool_restarts = True
    try:
        assert "limit.per_hour is required" in found(ACTIONS={"a": entry})[1][0]
        assert found(ACTIONS={"a": {**entry, "limit": {"per_hour": 1}}})[1] == []
    finally:
        app.conf.worker_pool_restarts = False
