"""What changes while an engine runs: the check behind a name, and the limits that degrade any check."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

import lifesigns
from lifesigns.specs import Disk, Thresholds

NEVER = Thresholds(degraded_above=100, error_above=100)
ALWAYS = Thresholds(degraded_above=0, error_above=100)


def disk(thresholds: Thresholds) -> Disk:
    return Disk(paths=["/"], thresholds=thresholds)


def test_replace__a_spec_by_another_with_other_thresholds() -> None:
    engine = lifesigns.Engine()
    engine.register("disk", disk(NEVER))
    assert engine.check("disk")["status"] == "healthy"
    assert engine.check("disk")["cached"]
    engine.replace("disk", disk(ALWAYS))
    result = engine.check("disk")
    assert (result["status"], result["cached"]) == ("degraded", False)
    assert engine.check("disk")["cached"]


def test_replace__keeps_the_name_the_criticality_and_the_dependents() -> None:
    engine = lifesigns.Engine()
    engine.register("parent", lambda: True, critical=False)
    engine.register("child", lambda: True, depends_on=["parent"])
    engine.replace("parent", lambda: False)
    report = engine.run()
    assert list(report["checks"]) == ["parent", "child"]
    assert report["checks"]["child"]["blocked_by"] == "parent"
    assert report["status"] == "unhealthy"


def test_replace__keeps_the_circuit_breaker() -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: False, breaker={"failures": 1, "wait": 60})
    engine.check("x", refresh=True)
    engine.replace("x", lambda: True)
    assert engine.breaker("x").state == "open"
    assert engine.check("x", refresh=True)["error_type"] == "CircuitOpenError"


def test_replace__a_callable_by_a_spec_and_back() -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: "first")
    checks: list[tuple[Any, str | None]]
    checks = [(disk(NEVER), None), (lambda: "second", "second"), (lambda: "third", "third")]
    for check, message in checks:
        engine.check("x")
        engine.replace("x", check)
        result = engine.check("x")
        assert message in (None, result["message"])
        assert not result["cached"]


def test_replace__a_run_under_way_answers_those_who_wait_and_no_later_request() -> None:
    engine = lifesigns.Engine()
    started, go_on = threading.Event(), threading.Event()

    def old() -> str:
        started.set()
        go_on.wait(10)
        return "old"

    engine.register("x", old)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(engine.check("x")))
    waiting.start()
    assert started.wait(10)
    engine.replace("x", lambda: "new")
    go_on.set()
    waiting.join(10)
    assert [answer["message"] for answer in answers] == ["old"]
    assert engine.check("x")["message"] == "new"


def test_replace__an_unknown_name() -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: True)
    for check in (disk(NEVER), lambda: True):
        with pytest.raises(lifesigns.UnknownCheckError, match="known are: x"):
            engine.replace("y", check)
    assert engine.names == ("x",)


@pytest.mark.parametrize("wrong", [{"kind": "disc"}, {"kind": "disk", "paths": [], "threshold": 1}, 7, None])
def test_replace__by_what_is_wrong_leaves_the_present_one(wrong: Any) -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: "present")
    with pytest.raises(ValueError, match="x"):
        engine.replace("x", wrong)
    assert engine.check("x")["message"] == "present"


def test_limit__a_slow_run_degrades() -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: time.sleep(0.05))
    engine.limit(response_time=0.02)
    assert engine.check("x")["status"] == "healthy"  # the first run of a process is exempt
    result = engine.check("x", refresh=True)
    assert result["status"] == "degraded"
    assert "more than 20 ms" in result["message"]
    engine.limit()
    assert engine.check("x", refresh=True)["status"] == "healthy"


def test_limit__many_errors_degrade() -> None:
    engine = lifesigns.Engine()
    answers = iter([False] * 5 + [True] * 100)
    engine.register("x", lambda: next(answers))
    engine.limit(error_rate=20)
    seen = [engine.check("x", refresh=True)["status"] for _ in range(40)]
    assert seen[:19] == ["error"] * 5 + ["healthy"] * 14  # too few to say anything
    assert seen[19:24] == ["degraded"] * 5  # 5 of 20 to 5 of 24
    assert seen[24:] == ["healthy"] * 16


@pytest.mark.parametrize(
    "limits", [{"response_time": 0}, {"response_time": -1}, {"error_rate": 101}, {"error_rate": float("nan")}]
)
def test_limit__out_of_range(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        lifesigns.Engine().limit(**limits)


def test_log__carries_the_correlation_id_of_the_sweep(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lifesigns")
    engine = lifesigns.Engine()
    engine.register("x", lambda: False, breaker={"failures": 1})
    report = engine.run()
    breaker, status, readiness = caplog.records
    assert {vars(record)["correlation_id"] for record in caplog.records} == {report["correlation_id"]}
    assert (vars(breaker)["check_name"], vars(breaker)["circuit_state"]) == ("x", "open")
    assert (vars(status)["check_name"], vars(status)["from_status"], vars(status)["to_status"]) == ("x", None, "error")
    assert (vars(readiness)["ready"], vars(readiness)["failing"]) == (False, ["x"])
    names = ["lifesigns.breakers", "lifesigns.checks", "lifesigns.readiness"]
    assert [record.name for record in caplog.records] == names
