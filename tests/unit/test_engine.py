"""The engine from Python: registration, sweeps, deadlines, sharing of runs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from tests.services import wait_until

SKIPPED = {"kind": "skipped", "reason": "set MQTT_CONFIG"}


class Counting:
    """A callable that counts its runs and can be held up."""

    def __init__(self, result: Any = None) -> None:
        self.runs = 0
        self.result = result
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> Any:
        self.runs += 1
        assert self.gate.wait(30)
        return self.result


def test_report__has_the_documented_shape() -> None:
    engine = lifesigns.Engine()
    engine.register("good", lambda: {"status": "healthy", "message": "fine", "details": {"n": 1}})
    engine.register("bad", lambda: False, critical=False)
    engine.register("none", SKIPPED)
    report = engine.run()
    assert list(report) == [
        "status", "message", "timestamp", "uptime_seconds", "summary", "checks", "correlation_id",
    ]  # fmt: skip
    assert report["status"] == "degraded"
    assert report["message"] == "Service operational with reduced functionality"
    assert report["summary"] == {
        "total_checks": 3, "healthy": 1, "degraded": 0, "errors": 1, "skipped": 1, "health_percentage": 50.0,
    }  # fmt: skip
    assert list(report["checks"]) == ["good", "bad", "none"]
    good = report["checks"]["good"]
    assert (good["status"], good["message"], good["details"], good["cached"]) == ("healthy", "fine", {"n": 1}, False)
    age = datetime.now(timezone.utc) - datetime.fromisoformat(good["timestamp"].replace("Z", "+00:00"))
    assert abs(age.total_seconds()) < 60
    assert report["checks"]["none"]["message"] == "set MQTT_CONFIG"


def test_sweep__shows_the_same_as_a_report_and_as_json() -> None:
    engine = lifesigns.Engine()
    engine.register(
        "good", lambda: {"status": "healthy", "message": "fine \u2713", "details": {"n": 1, "x": [0.5, None]}}
    )
    engine.register("bad", lambda: False, critical=False)
    sweep = engine.sweep(refresh=True)
    assert sweep.status == "degraded"
    for details in (True, False):
        report = sweep.report(details)
        assert json.loads(sweep.json(details)) == report
        assert report["correlation_id"] == sweep.correlation_id
        assert ("message" in report["checks"]["good"]) is details
    # What is found later is another sweep's.
    engine.replace("bad", lambda: True)
    assert engine.sweep().status == "healthy"
    assert sweep.status == "degraded"


@pytest.mark.parametrize(
    ("critical", "status", "message"),
    [
        (True, "unhealthy", "Critical systems failing"),
        (False, "degraded", "Service operational with reduced functionality"),
    ],
)
def test_report__depends_on_whether_the_failing_check_is_critical(critical: bool, status: str, message: str) -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: False, critical=critical)
    report = engine.run()
    assert (report["status"], report["message"]) == (status, message)


def test_run__takes_names_or_only_critical_checks() -> None:
    engine = lifesigns.Engine()
    engine.register("a", SKIPPED)
    engine.register("b", SKIPPED, critical=False)
    assert engine.names == ("a", "b")
    assert list(engine.run(["b"])["checks"]) == ["b"]
    assert list(engine.run(critical_only=True)["checks"]) == ["a"]
    assert list(engine.run(["b"], critical_only=True)["checks"]) == []


def test_run__names_the_known_checks_when_one_is_unknown() -> None:
    engine = lifesigns.Engine()
    engine.register("disk_space", SKIPPED)
    with pytest.raises(lifesigns.UnknownCheckError, match=r'unknown check "disk"; known are: disk_space'):
        engine.run(["disk"])
    with pytest.raises(LookupError):
        engine.check("nope")
    with pytest.raises(ValueError, match="names must be a list of names"):
        engine.run("disk_space")


@pytest.mark.parametrize(
    ("check", "options", "error"),
    [
        ({"kind": "postgress"}, {}, "unknown kind 'postgress': did you mean 'postgres'"),
        ({"paths": []}, {}, "kind is required"),
        ({"kind": "disk", "pths": []}, {}, "unknown field 'pths': did you mean 'paths'"),
        ({"kind": "disk", "paths": [], "thresholds": {"degraded_above": 95, "error_above": 90}}, {}, "degraded_above"),
        (
            {"kind": "memory", "thresholds": {"degraded_above": "x", "error_above": 9}},
            {},
            "degraded_above must be a number",
        ),
        (42, {}, "not int"),
        (SKIPPED, {"timeout": 0}, "timeout must be a number of seconds above 0"),
        (SKIPPED, {"timeout": -1}, "timeout must be a number of seconds above 0"),
        (SKIPPED, {"timeout": float("nan")}, "timeout must be a number of seconds above 0"),
        (SKIPPED, {"ttl": 0}, "ttl must be a number of seconds above 0"),
        (SKIPPED, {"breaker": {"fails": 3}}, "unknown field 'breaker.fails': known are failures"),
        (SKIPPED, {"breaker": {"failures": 0}}, "failures and minimum_calls must be at least 1"),
        (SKIPPED, {"breaker": {"failure_rate": 1.5}}, "failure_rate must be above 0 and at most 1"),
        (SKIPPED, {"depends_on": ["later"]}, 'depends_on names "later"'),
        (SKIPPED, {"depends_on": "later"}, "depends_on must be a list of names, not 'later'"),
        (SKIPPED, {"depends_on": 3}, "depends_on must be a list of names, not 3"),
        (SKIPPED, {"failures_before_error": 0}, "must be at least 1"),
    ],
)
def test_register__says_what_is_wrong(check: Any, options: dict[str, Any], error: str) -> None:
    engine = lifesigns.Engine()
    with pytest.raises(ValueError, match=error):
        engine.register("x", check, **options)
    assert engine.names == ()


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "x" * 101])
def test_register__refuses_names_that_cannot_stand_in_urls(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        lifesigns.Engine().register(name, SKIPPED)


def test_register__refuses_a_name_twice() -> None:
    engine = lifesigns.Engine()
    engine.register("x", SKIPPED)
    with pytest.raises(ValueError, match='"x" is registered already'):
        engine.register("x", lambda: None)


def test_register__quotes_no_value_that_may_be_a_secret() -> None:
    with pytest.raises(ValueError, match="a PostgreSQL URL starts with postgresql://") as error:
        lifesigns.Engine().register("x", {"kind": "postgres", "server": "postgres//app:hunter2@db/app"})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("arguments", [{"default_timeout": 0}, {"default_ttl": -1}, {"max_stale": float("inf")}])
def test_engine__refuses_times_that_are_none(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="seconds above 0"):
        lifesigns.Engine(**arguments)


def test_sweep__ends_by_the_timeout_of_a_hanging_check() -> None:
    release = threading.Event()
    engine = lifesigns.Engine()
    engine.register("hangs", lambda: release.wait(60) and None, timeout=0.5)
    for index in range(21):
        engine.register(f"ok{index}", lambda: None)
    started = time.monotonic()
    report = engine.run()
    took = time.monotonic() - started
    release.set()
    assert 0.45 < took < 10
    hung = report["checks"]["hangs"]
    assert (hung["status"], hung["error_type"], hung["timeout_seconds"]) == ("error", "TimeoutError", 0.5)
    assert hung["message"] == "Timed out after 0.5 s (in the function)"
    assert report["summary"]["healthy"] == 21


def test_result__is_fresh_for_its_ttl_and_on_request_not() -> None:
    check = Counting()
    engine = lifesigns.Engine()
    engine.register("x", check, ttl=30)
    assert engine.check("x")["cached"] is False
    again = engine.check("x")
    assert again["cached"] is True
    assert again["age_seconds"] >= 0
    assert check.runs == 1
    assert engine.check("x", refresh=True)["cached"] is False
    assert engine.check("x", max_age=0)["cached"] is False
    assert check.runs == 3


def test_result__is_renewed_after_its_ttl() -> None:
    check = Counting()
    engine = lifesigns.Engine()
    engine.register("x", check, ttl=0.05)
    engine.check("x")
    end = time.monotonic() + 10
    while engine.check("x")["cached"] and time.monotonic() < end:
        pass
    assert check.runs >= 2


def test_single_flight__many_callers_cause_one_run() -> None:
    check = Counting()
    check.gate.clear()
    engine = lifesigns.Engine()
    engine.register("x", check, timeout=20)
    with ThreadPoolExecutor(50) as pool:
        calls = [pool.submit(engine.check, "x", refresh=index % 2 == 0) for index in range(50)]
        wait_until(lambda: check.runs > 0)
        check.gate.set()
        results = [call.result() for call in calls]
    assert {result["status"] for result in results} == {"healthy"}
    # Those that requested a refresh after the run had ended start another; far fewer than one each.
    assert check.runs <= 25


def test_single_flight__a_thousand_coroutines_cause_one_run() -> None:
    check = Counting()
    engine = lifesigns.Engine()
    engine.register("x", check)

    async def collect() -> list[Any]:
        check.gate.clear()
        asyncio.get_running_loop().call_later(0.2, check.gate.set)
        return list(await asyncio.gather(*(engine.acheck("x", refresh=True) for _ in range(1000))))

    results = asyncio.run(collect())
    assert len(results) == 1000
    assert {result["status"] for result in results} == {"healthy"}
    assert check.runs == 1


def test_deadline__ends_only_the_callers_waiting() -> None:
    check = Counting()
    check.gate.clear()
    engine = lifesigns.Engine()
    engine.register("x", check, timeout=30)
    started = time.monotonic()
    pending = engine.check("x", deadline=0.1)
    assert time.monotonic() - started < 5
    assert (pending["status"], pending["error_type"], pending["pending"]) == ("error", "PendingError", True)
    check.gate.set()
    assert engine.check("x")["status"] == "healthy"
    assert check.runs == 1


def test_deadline__serves_the_last_result_while_it_is_not_stale() -> None:
    check = Counting("degraded")
    engine = lifesigns.Engine(default_ttl=0.01, max_stale=0.5)
    engine.register("x", check, timeout=30)
    assert engine.check("x")["status"] == "degraded"
    check.gate.clear()
    stale = engine.check("x", refresh=True, deadline=0.05)
    assert (stale["status"], stale["cached"]) == ("degraded", True)
    assert stale["age_seconds"] > 0
    end = time.monotonic() + 10
    while "pending" not in engine.check("x", deadline=0.05) and time.monotonic() < end:
        pass
    assert engine.check("x", deadline=0)["error_type"] == "PendingError"
    check.gate.set()


def test_dependencies__a_child_is_not_run_while_its_parent_is_in_error() -> None:
    parent, child = Counting(False), Counting()
    engine = lifesigns.Engine()
    engine.register("parent", parent, ttl=0.01)
    engine.register("child", child, depends_on=["parent"])
    result = engine.check("child")
    assert (result["status"], result["blocked_by"], child.runs) == ("error", "parent", 0)
    assert list(engine.run(["child"])["checks"]) == ["child"]
    parent.result = True
    assert engine.check("child", refresh=True)["status"] == "error" or child.runs == 1
    wait_until(lambda: engine.check("child")["status"] == "healthy")
    assert child.runs >= 1


def test_dependencies__a_blocked_child_is_so_since_its_parent_fails() -> None:
    parent = Counting()
    engine = lifesigns.Engine(log=False)
    engine.register("parent", parent, ttl=0.001)
    engine.register("child", lambda: None, depends_on=["parent"], ttl=0.001)
    engine.register("grandchild", lambda: None, depends_on=["child"], ttl=0.001)
    healthy = engine.run(refresh=True)["checks"]
    parent.result = False
    time.sleep(0.01)
    blocked = engine.run(refresh=True)["checks"]
    assert {result["status"] for result in blocked.values()} == {"error"}
    assert blocked["child"]["since"] == blocked["grandchild"]["since"] == blocked["parent"]["since"]
    assert blocked["child"]["since"] > healthy["child"]["since"]


def test_dependencies__a_parent_that_hangs_costs_the_child_its_own_timeout_only() -> None:
    parent = Counting()
    parent.gate.clear()
    engine = lifesigns.Engine()
    engine.register("parent", parent, timeout=30)
    engine.register("child", lambda: None, depends_on=["parent"], timeout=0.2)
    started = time.monotonic()
    result = engine.check("child")
    assert time.monotonic() - started < 5
    assert (result["status"], result["blocked_by"]) == ("error", "parent")
    parent.gate.set()


def test_breaker__opens_after_failures_in_a_row_and_closes_after_a_good_trial() -> None:
    check = Counting(False)
    engine = lifesigns.Engine()
    engine.register("x", check, breaker={"failures": 3, "wait": 0.3, "max_wait": 1})
    states = [engine.check("x", refresh=True)["circuit_state"] for _ in range(3)]
    assert states == ["closed", "closed", "open"]
    refused = engine.check("x", refresh=True)
    assert (refused["status"], refused["circuit_state"], check.runs) == ("error", "open", 3)
    assert "Circuit breaker open" in refused["message"]
    assert 0 < refused["retry_after_seconds"] <= 0.4
    check.result = True
    wait_until(lambda: engine.check("x", refresh=True)["status"] == "healthy")
    assert engine.check("x", refresh=True)["circuit_state"] == "closed"


def test_hysteresis__shows_an_error_only_after_several() -> None:
    check = Counting()
    engine = lifesigns.Engine()
    engine.register("x", check, failures_before_error=2)
    engine.check("x")
    check.result = False
    first = engine.check("x", refresh=True)
    assert (first["status"], first["raw_status"]) == ("healthy", "error")
    assert first["message"].endswith(" (failure 1 of 2)")
    assert engine.check("x", refresh=True)["status"] == "error"


def test_arun__does_not_hold_up_the_event_loop() -> None:
    check = Counting()
    check.gate.clear()
    engine = lifesigns.Engine()
    engine.register("x", check, timeout=20)

    async def collect() -> tuple[Any, int]:
        ticks = 0
        sweep = asyncio.ensure_future(engine.arun())
        while not sweep.done():
            ticks += 1
            if ticks == 20:
                check.gate.set()
            await asyncio.sleep(0.005)
        return await sweep, ticks

    report, ticks = asyncio.run(collect())
    assert report["status"] == "healthy"
    assert ticks >= 20


def test_arun__keeps_its_callers_deadline() -> None:
    check = Counting()
    check.gate.clear()
    engine = lifesigns.Engine()
    engine.register("x", check, timeout=20)
    report = asyncio.run(engine.arun(deadline=0.05))
    assert report["checks"]["x"]["pending"] is True
    check.gate.set()


def test_run__works_in_any_thread() -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: "fine")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(engine.run).result()["status"] == "healthy"


def test_breaker__obeys_its_operator() -> None:
    check = Counting()
    engine = lifesigns.Engine()
    engine.register("x", check, breaker={"failures": 1, "wait": 60})
    engine.register("plain", SKIPPED)
    breaker = engine.breaker("x")
    assert (breaker.state, breaker.mode, breaker.retry_after) == ("closed", "automatic", None)
    breaker.force_open()
    assert (breaker.state, breaker.mode) == ("open", "forced-open")
    assert engine.check("x", refresh=True)["error_type"] == "CircuitOpenError"
    breaker.force_closed()
    check.result = False
    for _ in range(3):
        assert engine.check("x", refresh=True)["circuit_state"] == "closed"
    breaker.reset()
    assert engine.check("x", refresh=True)["circuit_state"] == "open"
    assert engine.breaker("x").retry_after is not None
    breaker.disable()
    assert engine.check("x", refresh=True)["message"] == "The check returned False"
    assert breaker.mode == "disabled"
    with pytest.raises(ValueError, match='"plain" has no circuit breaker'):
        engine.breaker("plain")
    with pytest.raises(lifesigns.UnknownCheckError):
        engine.breaker("nope")


def test_breaker__change_is_logged_and_sent_to_subscribers(caplog: pytest.LogCaptureFixture) -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: False, breaker={"failures": 2, "wait": 60})
    events: list[lifesigns.BreakerEvent] = []
    engine.subscribe(lambda _: 1 / 0)
    engine.subscribe(lambda event: events.append(event) if isinstance(event, lifesigns.BreakerEvent) else None)
    for _ in range(3):
        engine.check("x", refresh=True)
    assert [event[:3] for event in events] == [("x", "closed", "open")]
    assert abs(events[0].at - time.time()) < 60
    assert "Circuit breaker of x: closed -> open" in caplog.messages
    engine.breaker("x").reset()
    engine.check("x")
    assert [event[:3] for event in events] == [("x", "closed", "open"), ("x", "open", "closed")]


def test_error_stands_while_the_next_run_is_awaited() -> None:
    """However old it is: it is the cause, and no result yet would be none."""
    released = threading.Event()
    first = [lifesigns.CheckFailed("the cause")]

    def check() -> None:
        if first:
            raise first.pop()
        released.wait(10)

    engine = lifesigns.Engine()
    engine.register("x", check, timeout=0.3)
    assert engine.check("x")["message"] == "the cause"
    wait_until(lambda: engine.check("x", deadline=0)["age_seconds"] > 0.4)
    awaited = engine.check("x", max_age=0.05, deadline=0.1)
    released.set()
    assert (awaited["status"], awaited["message"], awaited["cached"]) == ("error", "the cause", True)
    assert "pending" not in awaited


def test_has_started__once_the_critical_checks_have_passed() -> None:
    engine, other = lifesigns.Engine(), lifesigns.Engine()
    for each in (engine, other):
        each.register("x", SKIPPED)
    assert [engine.has_started(passing) for passing in (False, True, False)] == [False, True, True]
    assert not other.has_started(False)


def test_has_started__without_a_check_never() -> None:
    assert not lifesigns.Engine().has_started(True)


def test_has_started__other_target_of_the_same_name_has_not(tmp_path: Path) -> None:
    def engine_of(port: int) -> lifesigns.Engine:
        engine = lifesigns.Engine(share="host", application="shop", store_path=tmp_path)
        engine.register("x", {"kind": "tcp", "host": "127.0.0.1", "port": port})
        return engine

    started, same, other = engine_of(1), engine_of(1), engine_of(2)
    assert started.has_started(True)
    assert (same.has_started(False), other.has_started(False)) == (True, False)


def test_report__parent_that_fails_while_another_check_is_awaited_is_no_healthy_one_that_blocks() -> None:
    failing, running, released = threading.Event(), threading.Event(), threading.Event()

    def slow() -> str:
        running.set()
        assert released.wait(10)
        return "done"

    engine = lifesigns.Engine(log=False)
    engine.register("parent", lambda: {"status": "error" if failing.is_set() else "healthy", "message": "it"})
    engine.register("child", lambda: "fine", critical=False, depends_on=["parent"])
    engine.register("slow", slow, critical=False)
    engine.run(["parent", "child"])
    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(engine.run)
        assert running.wait(10)
        failing.set()
        engine.check("parent", refresh=True)
        released.set()
        report = sweeping.result()
    assert report["checks"]["child"]["blocked_by"] == "parent"
    assert (report["checks"]["parent"]["status"], report["status"]) == ("error", "unhealthy")


def test_sweep__that_had_to_run_nothing_says_the_same_whenever_it_is_read() -> None:
    failing = threading.Event()
    engine = lifesigns.Engine(log=False)
    engine.register("parent", lambda: {"status": "error" if failing.is_set() else "healthy", "message": "it"})
    engine.register("child", lambda: "fine", critical=False, depends_on=["parent"])
    engine.run()
    sweep = engine.sweep()
    failing.set()
    engine.check("parent", refresh=True)
    shown = sweep.report()
    assert (sweep.status, shown["status"]) == ("healthy", "healthy")
    assert {name: result["status"] for name, result in shown["checks"].items()} == dict.fromkeys(
        ("parent", "child"), "healthy"
    )
