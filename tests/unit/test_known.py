"""What is known of an engine's checks, read without running any."""

from __future__ import annotations

import os
from typing import Any

import lifesigns
from tests.services import wait_until
from tests.unit.test_engine import SKIPPED, Counting


def engine_of(**checks: Any) -> lifesigns.Engine:
    engine = lifesigns.Engine(log=False)
    for name, check in checks.items():
        engine.register(name, check)
    return engine


def test_known__runs_nothing_and_shows_the_last_results() -> None:
    counting = Counting()
    engine = engine_of(mine=counting, none=SKIPPED)
    before = engine.known()
    assert (counting.runs, before["checks"]["mine"]["pending"]) == (0, True)
    assert before["checks"]["none"]["status"] == "skipped"
    found = engine.run()
    after = engine.known()
    assert counting.runs == 1
    assert after["status"] == "healthy"
    assert after["checks"]["mine"]["timestamp"] == found["checks"]["mine"]["timestamp"]
    assert after["checks"]["mine"]["cached"] is True


def test_known__without_checks_is_unhealthy() -> None:
    assert engine_of().known()["status"] == "unhealthy"


def test_known__open_circuit_and_what_it_blocks() -> None:
    engine = lifesigns.Engine(log=False, max_stale=0.01, default_ttl=0.005)
    engine.register("parent", lambda: True, breaker={"failures": 1})
    engine.register("child", lambda: True, depends_on=["parent"])
    engine.run()
    engine.breaker("parent").force_open()

    def is_shown() -> bool:
        checks = engine.known()["checks"]
        return (checks["parent"].get("error_type"), checks["child"].get("blocked_by")) == ("CircuitOpenError", "parent")

    # However long it is open.
    wait_until(is_shown, 5)
    wait_until(lambda: engine.known()["checks"]["child"]["error_type"] == "DependencyError", 5)
    assert is_shown()


def test_infos__how_checks_are_registered() -> None:
    engine = lifesigns.Engine(log=False, max_stale=7)
    engine.register("parent", lambda: True, timeout=2, ttl=3, runbook="https://wiki.example/it", server="db:5432")
    engine.register("child", lambda: True, critical=False, depends_on=["parent"], breaker={"failures": 4, "wait": 9})
    infos = engine.infos()
    assert list(infos) == ["parent", "child"]
    parent, child = infos["parent"], infos["child"]
    assert parent == {
        "critical": True,
        "timeout": 2.0,
        "ttl": 3.0,
        "stale_after": 7.0,
        "depends_on": [],
        "failures_before_error": 1,
        "successes_before_healthy": 1,
        "runbook": "https://wiki.example/it",
        "server": "db:5432",
        "breaker": None,
    }
    assert (child["critical"], child["depends_on"]) == (False, ["parent"])
    assert child["breaker"] is not None
    assert (child["breaker"]["state"], child["breaker"]["mode"]) == ("closed", "automatic")
    assert (child["breaker"]["failures"], child["breaker"]["wait"]) == (4, 9.0)
    engine.breaker("child").force_open()
    breaker = engine.infos()["child"]["breaker"]
    assert breaker is not None
    assert (breaker["state"], breaker["mode"]) == ("open", "forced-open")


def test_processes__this_one_once_it_is_watched() -> None:
    engine = engine_of(mine=lambda: True)
    engine.run()
    engine.start_background()
    wait_until(lambda: engine.processes() and engine.processes()[0]["ready"], 10)
    (process,) = engine.processes()
    assert (process["pid"], process["draining"], process["served"]) == (os.getpid(), False, [])
    assert 0 <= process["interpreter_lag"] < 60
