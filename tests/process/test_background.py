"""The background refresh renews results before they expire, without Python where it can, and after forks."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lifesigns import BreakerEvent, Engine, UnknownCheckError, _core
from tests.loops import times
from tests.process.host import where_shared
from tests.process.probes import Script
from tests.servers import misbehaving
from tests.servers.misbehaving import MisbehavingServer
from tests.services import wait_until


@pytest.fixture
def counting() -> Iterator[MisbehavingServer]:
    """Counts the runs of a check that connects to it."""
    with misbehaving.closes() as server:
        yield server


def tcp(server: MisbehavingServer) -> dict[str, object]:
    return {"kind": "tcp", "host": server.host, "port": server.port}


def grows(server: MisbehavingServer, by: int = 3) -> None:
    """Waits for so many more runs."""
    before = server.connections
    wait_until(lambda: server.connections >= before + by, message="nothing is renewed")


def test_background__keeps_results_fresh(counting: MisbehavingServer) -> None:
    engine = Engine(default_ttl=4.0)
    engine.register("native", tcp(counting))
    engine.register("callable", lambda: "ran")
    engine.start_background()
    wait_until(lambda: engine.run(deadline=0)["status"] == "healthy")
    started = time.monotonic()
    while time.monotonic() - started < 6:
        checks = engine.run()["checks"]
        assert all(result["cached"] and result["age_seconds"] < 4 for result in checks.values()), checks
        time.sleep(0.02)
    assert 2 <= counting.connections <= 8


def test_background__renews_critical_checks_within_the_age_that_readiness_wants(counting: MisbehavingServer) -> None:
    engine = Engine(default_ttl=30.0)
    with misbehaving.closes() as rarely:
        engine.register("critical", tcp(counting))
        engine.register("other", tcp(rarely), critical=False)
        engine.start_background(critical_max_age=0.2)
        grows(counting, by=5)
        assert rarely.connections == 1


def test_background__takes_in_what_is_registered_later(counting: MisbehavingServer) -> None:
    engine = Engine(default_ttl=0.2)
    engine.start_background()
    engine.start_background()
    engine.register("native", tcp(counting))
    ran = threading.Event()
    engine.register("callable", ran.set)
    grows(counting)
    assert ran.wait(10)


def test_background__shows_soon_what_a_replaced_check_finds() -> None:
    """Long before its result would have expired: who reads what is known, as metrics do, must not see the former."""
    engine = Engine(default_ttl=60.0)
    engine.register("native", {"kind": "skipped", "reason": "former"})
    engine.register("callable", lambda: "former")
    engine.start_background()
    wait_until(lambda: engine.run(deadline=0)["checks"]["callable"].get("cached") is True)
    engine.replace("native", {"kind": "skipped", "reason": "new"})
    engine.replace("callable", lambda: "new")
    time.sleep(2.5)  # a request would renew it
    checks = engine.run(deadline=0)["checks"]
    assert [(result["message"], result["cached"]) for result in checks.values()] == [("new", True), ("new", True)]


def test_background__runs_each_check_once_at_a_time() -> None:
    engine = Engine(default_ttl=0.05)
    running, most, runs = 0, 0, 0
    guard = threading.Lock()

    def slow() -> None:
        nonlocal running, most, runs
        with guard:
            running += 1
            runs += 1
            most = max(most, running)
        time.sleep(0.1)
        with guard:
            running -= 1

    engine.register("x", slow)
    engine.start_background()
    wait_until(lambda: engine.run(refresh=True) and runs >= 10)
    assert most == 1


def test_background__a_callable_that_hangs_holds_up_no_other(counting: MisbehavingServer) -> None:
    engine = Engine(default_ttl=0.1)
    free = threading.Event()
    ran = 0

    def count() -> None:
        nonlocal ran
        ran += 1

    engine.register("hung", lambda: free.wait(60) and None, timeout=0.1)
    engine.register("callable", count)
    engine.register("native", tcp(counting))
    threads = threading.active_count()
    engine.start_background()
    wait_until(lambda: ran >= 10)
    grows(counting)
    assert engine.check("hung", deadline=0)["status"] == "error"
    assert threading.active_count() <= threads + 2
    free.set()
    wait_until(lambda: engine.check("hung", deadline=0)["status"] == "healthy")


def test_background__a_callable_that_exits_does_not_take_the_thread_from_the_next_run() -> None:
    script = """
def leaves():
    say("ran")
    raise SystemExit
engine.register("x", leaves, ttl=0.1)
engine.start_background()
input()
"""
    with Script(script) as process:
        assert [process.line() for _ in range(5)] == ["ran"] * 5


def test_background__leaves_an_open_circuit_alone(counting: MisbehavingServer) -> None:
    engine = Engine(default_ttl=0.1)
    engine.register("x", tcp(counting), breaker={"failures": 1, "wait": 60.0})
    engine.breaker("x").force_open()
    engine.start_background()
    time.sleep(0.5)
    assert counting.connections == 0
    engine.breaker("x").reset()
    grows(counting)


def test_background__publishes_events_of_circuits_without_a_request() -> None:
    engine = Engine(default_ttl=0.1)
    events: list[BreakerEvent] = []
    engine.subscribe(lambda event: events.append(event) if isinstance(event, BreakerEvent) else None)
    target = {"kind": "tcp", "host": "127.0.0.1", "port": misbehaving.refused_port()}
    engine.register("x", target, breaker={"failures": 2, "wait": 60.0})
    engine.start_background()
    wait_until(lambda: [event.to_state for event in events] == ["open"])


def test_background__ends_with_its_engine(counting: MisbehavingServer) -> None:
    engine = Engine(default_ttl=0.1)
    engine.register("x", tcp(counting))
    engine.start_background()
    grows(counting)
    del engine
    gc.collect()
    time.sleep(0.3)
    before = counting.connections
    time.sleep(0.5)
    assert counting.connections == before


def test_background__needs_no_python(counting: MisbehavingServer) -> None:
    script = f"""
engine.register("x", {tcp(counting)!r}, ttl=0.1)
engine.start_background()
say("held")
import ctypes
ctypes.PyDLL(None).sleep(2)
"""
    with Script(script) as process:
        process.line()
        grows(counting, by=10)
        assert process.process.poll() is None
        process.finish()


def test_host__many_processes_renew_as_often_as_one(counting: MisbehavingServer, tmp_path: Path) -> None:
    script = f"""
engine = lifesigns.Engine(share="host", store_path=sys.argv[1], default_ttl=1.0)
engine.register("x", {tcp(counting)!r})
engine.start_background()
say("ready")
input()
"""
    with ExitStack() as stack:
        workers = [stack.enter_context(Script(script, str(tmp_path))) for _ in range(4)]
        for worker in workers:
            worker.line()
        before = counting.connections
        time.sleep(5)
        assert 4 <= counting.connections - before <= 14
        # The others continue.
        for worker in workers[1:]:
            worker.process.kill()
        grows(counting)


@where_shared
def test_host__what_a_killed_process_has_renewed_is_renewed_by_another(tmp_path: Path) -> None:
    script = """
def note():
    with open(sys.argv[2], "a") as runs:
        runs.write(f"{os.getpid()}\\n")
engine = lifesigns.Engine(share="host", store_path=sys.argv[1], default_ttl=30.0)
engine.register("x", note)
engine.start_background(critical_max_age=4.2)
say("ready")
input()
"""
    runs = tmp_path / "runs"
    runs.touch()
    with ExitStack() as stack:
        workers = [stack.enter_context(Script(script, str(tmp_path / "store"), str(runs))) for _ in range(3)]
        for worker in workers:
            worker.line()
        wait_until(lambda: len(runs.read_text().split()) >= 2)
        leader = runs.read_text().split()[-1]
        (killed,) = (worker.process for worker in workers if str(worker.process.pid) == leader)
        killed.kill()
        wait_until(lambda: runs.read_text().split()[-1] != leader)


def test_fork__a_child_renews_from_its_first_use() -> None:
    script = """
engine.register("x", lambda: say(os.getpid()), ttl=0.1)
engine.start_background()
pid = os.fork()
if pid == 0:
    input()
    engine.run()
    time.sleep(60)
say(pid)
time.sleep(60)
"""
    with Script(script) as process:
        parent = process.process.pid
        said = {process.line() for _ in range(20)}
        child = (said - {str(parent)}).pop()
        assert said == {str(parent), child}
        process.send_line()
        ran = [process.line() for _ in range(200)]
        assert min(ran.count(str(parent)), ran.count(child)) > 20


EXITS = {
    "idle": "",
    "running": "time.sleep(0.05)",
    "hung": "engine.register('hung', lambda: time.sleep(600), timeout=0.05); time.sleep(0.1)",
    "busy": "[engine.register(str(i), lambda: sum(range(20_000)), ttl=0.01) for i in range(8)]; time.sleep(0.1)",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit__is_clean_and_prompt(name: str) -> None:
    script = f"""
import logging
logging.getLogger("lifesigns").addHandler(logging.NullHandler())
engine.register("native", {{"kind": "skipped", "reason": "none"}}, ttl=0.01)
engine.register("callable", lambda: None, ttl=0.01)
engine.start_background()
{EXITS[name]}
"""
    for _ in range(times(3, 24)):
        with Script(script) as process:
            process.finish(timeout=10)


@where_shared
def test_watched_claims__are_missed_once_no_process_claims(tmp_path: Path) -> None:
    first, second = (Engine(share="host", application="claims", store_path=tmp_path / "store") for _ in range(2))
    missed: list[float] = []
    second.watch_claims("turn", lambda: missed.append(time.monotonic()), gap=30)
    second.start_background()
    assert first.claim_record("turn", time.time(), gap=30)
    time.sleep(2.5)  # two looks
    assert missed == []
    second.watch_claims("turn", lambda: missed.append(time.monotonic()), gap=0.5)
    wait_until(lambda: len(missed) >= 2)
    assert second.claim_record("turn", time.time(), gap=0.5), "nobody has it"
    assert not first.claim_record("turn", time.time(), gap=30)


@where_shared
def test_watched_result__is_followed_by_all_that_share(tmp_path: Path) -> None:
    found, seen = ["a"], ([], [])  # type: tuple[list[str], tuple[list[str], list[str]]]
    engines = [Engine(share="host", application="followed", store_path=tmp_path / "store") for _ in seen]
    for engine, values in zip(engines, seen, strict=True):
        engine.register("saved", lambda: {"status": "healthy", "details": {"value": found[0]}}, identity="saved")

        def follow(engine: Engine = engine, values: list[str] = values) -> None:
            values.append(engine.check("saved", deadline=0)["details"]["value"])

        engine.watch_result("saved", follow)
        engine.start_background(critical_max_age=1)
    wait_until(lambda: seen == (["a"], ["a"]))
    found[0] = "b"
    wait_until(lambda: seen == (["a", "b"], ["a", "b"]))


def test_watched_result__is_notified_again_where_that_raises() -> None:
    engine, called = Engine(), []  # type: tuple[Engine, list[float]]

    def follow() -> None:
        called.append(time.monotonic())
        if len(called) == 1:
            raise ValueError("once")

    engine.register("saved", lambda: None)
    engine.watch_result("saved", follow)
    with pytest.raises(UnknownCheckError):
        engine.watch_result("unknown", follow)
    engine.start_background()
    wait_until(lambda: len(called) == 2)


def test_taken_results__are_all_that_were_found_oldest_first_and_once() -> None:
    numbers = itertools.count(1)
    engine = Engine(log=False)
    engine.register("mine", lambda: {"status": "healthy", "message": str(next(numbers))})
    engine.run()
    assert (engine.is_recording(), engine.take_results()) == (False, [])
    engine.start_recording("turn", lambda: None, pause=30, every=30)
    assert engine.is_recording()
    for _ in range(50):  # no pause has to come between
        engine.run(refresh=True)
    found = engine.take_results(read=True)
    assert [(name, result["message"], claimed) for name, result, claimed in found] == [
        ("mine", str(number), False) for number in range(1, 52)
    ]
    latest = engine.known()["checks"]["mine"]
    assert found[-1][1] == {key: latest[key] for key in ("status", "message", "timestamp", "duration_ms", "since")} | {
        "cached": False
    }
    assert engine.take_results(read=True) == []


@where_shared
def test_taken_results__of_all_processes_that_share_each_for_one_of_them(tmp_path: Path) -> None:
    """Two engines with one store, as two processes have them."""
    engines = [Engine(share="host", application="recorded", store_path=tmp_path / "store") for _ in range(2)]
    for engine in engines:
        engine.register("mine", lambda: True, identity="mine")
    first, second = engines
    fetched = threading.Event()
    first.start_recording("turn", fetched.set, pause=0.1, every=30)
    assert fetched.wait(30), "at once"
    times: list[str] = []
    taken: list[Any] = []
    for _ in range(20):
        times.append(second.run(refresh=True)["checks"]["mine"]["timestamp"])

        def is_taken() -> bool:
            taken.extend(first.take_results())
            return len(taken) == len(times)

        wait_until(is_taken, 30)
    assert [result["timestamp"] for _, result, _ in taken] == times
    assert all(claimed for _, _, claimed in taken)
    assert second.take_results(read=True) == []


@where_shared
def test_recording__ends_once_another_process_has_claimed_the_turn(tmp_path: Path) -> None:
    first, second = (Engine(share="host", application="turns", store_path=tmp_path / "store") for _ in range(2))
    fetched: list[float] = []
    first.start_recording("turn", lambda: fetched.append(time.monotonic()), pause=0.2, every=30)
    wait_until(lambda: len(fetched) == 1, 30)

    def has_ended() -> bool:
        second.claim_record("turn", time.time())
        return not first.is_recording()

    wait_until(has_ended, 30)
    wait_until(lambda: len(fetched) == 2, 30, "what is left is fetched")


@where_shared
def test_background__beside_the_engine_that_serves_does_not_decide_whether_the_process_is_ready(tmp_path: Path) -> None:
    beside, serving = (Engine(share="host", application="members", store_path=tmp_path / "store") for _ in range(2))
    beside.register("failing", lambda: {"status": "error"})
    serving.register("fine", lambda: None)
    beside.start_background(as_member=False)
    wait_until(lambda: not beside.known()["checks"]["failing"].get("pending"))
    serving.start_background()
    (store,) = (tmp_path / "store").glob(f"*{_core.STORE_SUFFIX}")
    wait_until(lambda: _core.read_store(str(store), True, 30)[0])
    end = time.monotonic() + 2.5  # two heartbeats
    while time.monotonic() < end:
        assert _core.read_store(str(store), True, 30) == (True, "1 of 1 processes are ready")
        time.sleep(0.1)
