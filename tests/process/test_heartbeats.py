"""Heartbeats: across processes, of changing names, and without a store."""

from __future__ import annotations

from pathlib import Path

import pytest

import lifesigns
from tests.process.host import Start, evaluate_all, runs, until, where_shared


def test_beat__reaches_other_processes_and_outlives_its_own(start: Start) -> None:
    first, second = start(), start()
    never = second.evaluate("engine.check('alive')")
    assert (never["status"], never["message"]) == ("error", "worker never sent a heartbeat")
    first.evaluate("lifesigns.beat('worker')")
    known = second.evaluate("engine.check('alive', refresh=True)")
    assert known["status"] == "healthy"
    assert 0 <= known["details"]["age_seconds"] < 1
    first.close()
    until(lambda: second.evaluate("engine.check('alive', refresh=True)")["status"] == "error")
    assert second.evaluate("engine.check('alive', refresh=True)")["message"].startswith("worker sent no heartbeat for ")


def test_beat__in_process_scope_stays_there() -> None:
    engine = lifesigns.Engine()
    engine.register("x", {"kind": "heartbeat", "name": "some.cron-job", "max_age": 60}, ttl=0.001)
    assert engine.check("x")["status"] == "error"
    lifesigns.beat("some.cron-job")
    assert engine.check("x", refresh=True)["status"] == "healthy"
    with pytest.raises(ValueError, match="must be 1 to 100 letters"):
        lifesigns.beat("a b")
    with pytest.raises(ValueError, match="above 0"):
        engine.register("y", {"kind": "heartbeat", "name": "y", "max_age": 0})


# A flood by numbers, and one by words, which have nothing in common by which they can be known.
FLOODS = {"numbers": "f'name-{index}'", "words": "str(index).translate(str.maketrans('0123456789', 'qrstuvwxyz'))"}
FLOOD = "[lifesigns.beat({}) for index in range(5000)] and None"


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_beat__of_a_checked_name_outlives_a_flood_of_names(start: Start, flood: str) -> None:
    sender, reader = start(), start()
    sender.evaluate("lifesigns.beat('worker')")
    assert reader.evaluate("engine.check('alive')")["status"] == "healthy"
    sender.evaluate(FLOOD.format(flood))
    for process in (reader, sender):
        found = process.evaluate("engine.check('alive', refresh=True)")
        assert found["message"] != "worker never sent a heartbeat"
        assert found["details"]["age_seconds"] > 0


def test_beat__before_its_check_is_registered_outlives_a_flood_of_names(start: Start) -> None:
    sender, reader = start(), start()
    sender.evaluate("lifesigns.beat('nightly')")
    sender.evaluate(FLOOD.format(FLOODS["numbers"]))
    spec = "{'kind': 'heartbeat', 'name': 'nightly', 'max_age': 60}"
    for process in (reader, sender):
        process.evaluate(f"engine.register('nightly', {spec})")
        assert process.evaluate("engine.check('nightly')")["status"] == "healthy"


@where_shared
def test_beats__of_changing_names_take_no_slot_of_a_check(directory: Path, start: Start) -> None:
    first = start()
    first.evaluate("[lifesigns.beat('steady') for _ in range(2)]")
    first.evaluate("[lifesigns.beat(f'name-{index}') for index in range(3000)]")
    first.evaluate("engine.check('alive')")
    reported = "[line for line in lines if 'heartbeats' in line]"
    (line,) = first.evaluate(reported)
    assert "more than 500 different names" in line
    (directory / "seconds").write_text("0.2")
    workers = [start() for _ in range(4)]
    assert evaluate_all(workers, "1") == [1] * 4  # all have started
    results = evaluate_all(workers, "engine.check('counted')")
    assert len({result["message"] for result in results}) == 1
    assert len(runs(directory)) == 1
    assert [worker.evaluate("[line for line in lines if 'store' in line]") for worker in workers] == [[]] * 4
    assert first.evaluate(reported) == [line], "reported once"
