"""Processes that share a store: one run, one breaker, one result, whichever is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lifesigns
from tests.process.host import Start, evaluate_all, runs, where_shared

pytestmark = where_shared


def test_run__by_eight_workers_at_once_is_one(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("0.2")
    workers = [start() for _ in range(8)]
    assert evaluate_all(workers, "1") == [1] * 8  # all have started
    for _ in range(3):
        results = evaluate_all(workers, "engine.check('counted')")
        assert len(runs(directory)) == 1
        assert {result["status"] for result in results} == {"healthy"}
        assert {result["message"] for result in results} == {runs(directory)[0]}
        assert all(result["details"] == results[0]["details"] for result in results)
    refreshed = evaluate_all(workers, "engine.check('counted', refresh=True)")
    assert 2 <= len(runs(directory)) <= 9, "a request after the end of a run has one of its own"
    assert {result["message"] for result in refreshed} <= set(runs(directory))
    started = len(runs(directory))
    assert all(result["cached"] for result in evaluate_all(workers, "engine.check('counted')"))
    assert len(runs(directory)) == started


def test_result__is_shared_as_it_is(start: Start) -> None:
    first, second = start(), start()
    original, copy = first.evaluate("engine.check('counted')"), second.evaluate("engine.check('counted')")
    assert copy.pop("cached") is True
    assert copy.pop("age_seconds") < 20
    assert original.pop("cached") is False
    assert copy == original


def test_breaker__opened_by_one_is_open_for_all_at_once(directory: Path, start: Start) -> None:
    (directory / "broken").touch()
    first, second = start(), start()
    assert second.evaluate("engine.breaker('guarded').state") == "closed"
    for _ in range(3):
        assert first.evaluate("engine.check('guarded', refresh=True)")["status"] == "error"
    assert second.evaluate("engine.breaker('guarded').state") == "open"
    result = second.evaluate("engine.check('guarded', refresh=True)")
    assert (result["error_type"], result["circuit_state"]) == ("CircuitOpenError", "open")
    assert 0 < result["retry_after_seconds"] <= 66
    assert len(runs(directory)) == 3
    lines = first.evaluate("lines")
    assert lines.count("Circuit breaker of guarded: closed -> open") == 1, "logged by the process that caused it"
    assert [line.partition(":")[0] for line in lines if "->" not in line] == ["Not ready"]
    assert second.evaluate("lines") == []


def test_breaker__counts_failures_of_all_processes(directory: Path, start: Start) -> None:
    (directory / "broken").touch()
    workers = [start() for _ in range(3)]
    for worker in workers:
        assert worker.evaluate("engine.check('guarded', refresh=True)")["status"] == "error"
    assert [worker.evaluate("engine.breaker('guarded').state") for worker in workers] == ["open"] * 3


def test_breaker__forced_state_reaches_all(directory: Path, start: Start) -> None:
    first, second = start(), start()
    assert first.evaluate("engine.breaker('guarded').force_open()") is None
    assert second.evaluate("engine.breaker('guarded').mode") == "forced-open"
    assert second.evaluate("engine.check('guarded', refresh=True)")["error_type"] == "CircuitOpenError"
    assert runs(directory) == []
    second.evaluate("engine.breaker('guarded').reset()")
    assert first.evaluate("engine.check('guarded', refresh=True)")["status"] == "healthy"
    third = start()
    first.evaluate("engine.breaker('guarded').disable()")
    assert third.evaluate("engine.breaker('guarded').mode") == "disabled", "also in processes that start later"


def test_settings__that_differ_have_records_of_their_own(directory: Path, start: Start) -> None:
    worker, other = start(), start(application="other")
    worker.evaluate("engine.breaker('guarded').force_open()")
    assert other.evaluate("engine.breaker('guarded').mode") == "automatic"
    same = start()
    assert same.evaluate("engine.breaker('guarded').mode") == "forced-open"
    assert same.evaluate("make(timeout=20.0).check('counted')")["cached"] is False
    assert worker.evaluate("make(timeout=20.0).check('counted')")["cached"] is True
    assert worker.evaluate("make(timeout=19.0).check('counted')")["cached"] is False
    assert worker.evaluate("make(breaker={'failures': 2}).check('counted')")["cached"] is False
    assert worker.evaluate("make(critical=False, ttl=10.0).check('counted')")["cached"] is True, "up to the caller"


def test_native_checks__are_identified_by_their_spec(directory: Path) -> None:
    def engine(reason: str) -> lifesigns.Engine:
        engine = lifesigns.Engine(share="host", store_path=directory / "store")
        engine.register("x", {"kind": "skipped", "reason": reason})
        return engine

    first, second = engine("one"), engine("two")
    assert first.check("x")["message"] == "one"
    assert second.check("x")["message"] == "two"
    assert engine("one").check("x")["cached"] is True


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"share": "fleets"}, "share must be 'process', 'host' or 'fleet', not 'fleets'"),
        ({"share": "host", "application": "a/b"}, "application must be"),
        ({"share": "host", "application": ""}, "application must be"),
    ],
)
def test_engine__wrong_argument_is_named(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        lifesigns.Engine(**options)
