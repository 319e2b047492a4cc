"""What hosts of a fleet share through a real Redis, and what becomes of a run whose holder is stopped or killed."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from tests.fleet.host import Hosts, Process, on_both
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

pytestmark = [where_shared, on_both]


def keys(redis: Redis) -> list[str]:
    return sorted(redis.command("KEYS", "*").split())


def test_check_of_the_fleet_runs_once_for_all_hosts(fleet: Hosts, redis: Redis) -> None:
    first, second, third = fleet.start("a", "b", "c", ttl=60)
    assert first.run()["message"] == "a"
    found = [process.run() for process in (second, third)]
    assert [(result["message"], result["details"]) for result in found] == [("a", {"host": "a"})] * 2
    assert [host for _, host, _ in fleet.runs()] == ["a"]
    assert all(key.startswith("lifesigns:{shop}:") for key in keys(redis))
    # Each host runs its own.
    assert first.run("local")["cached"] is False
    assert second.run("local")["cached"] is False


def test_host_that_starts_takes_over_what_is_known(fleet: Hosts) -> None:
    (first,) = fleet.start("a", ttl=60, background=True)
    wait_until(fleet.runs, timeout=30)
    first.run()
    (second,) = fleet.start("b", ttl=60, background=True)
    wait_until(lambda: second.evaluate("engine.known()")["checks"]["paid"].get("found_by") == "a", timeout=60)
    assert len(fleet.runs()) == 1


def test_hosts_that_ask_at_once_wait_for_one_run(fleet: Hosts) -> None:
    (fleet.directory / "seconds").write_text("1")
    processes = fleet.start("a", "a", "b", "b", "c", ttl=60)
    for process in processes:
        process.send("engine.check('paid')")
    results = [process.receive() for process in processes]
    assert len(fleet.runs()) == 1
    assert {result["message"] for result in results} == {fleet.runs()[0][1]}


def test_result_has_the_age_of_its_run_on_every_host(fleet: Hosts) -> None:
    first, second = fleet.start("a", "b", ttl=60)
    first.run()
    time.sleep(1)
    assert second.run()["timestamp"][:18] == first.run()["timestamp"][:18]
    ages = [process.run()["age_seconds"] for process in (first, second)]
    assert 1 <= ages[0] < ages[1] + 0.5 < 30


def test_refresh_runs_again_on_the_host_that_asks(fleet: Hosts) -> None:
    first, second = fleet.start("a", "b", ttl=60)
    first.run()
    report = second.evaluate("engine.run(['paid'], refresh=True)")
    assert report["checks"]["paid"]["message"] == "b"
    assert [host for _, host, _ in fleet.runs()] == ["a", "b"]


def test_breaker_opened_on_one_host_is_open_on_all(fleet: Hosts) -> None:
    (fleet.directory / "broken").touch()
    first, second = fleet.start("a", "b", ttl=60, breaker=True)
    for _ in range(2):
        first.evaluate("engine.run(['paid'], refresh=True)")
    assert first.evaluate("engine.breaker('paid').state") == "open"
    second.run()
    assert second.evaluate("engine.breaker('paid').state") == "open"
    assert len(fleet.runs()) == 2


def has_mode(process: Process, mode: str) -> bool:
    return bool(process.evaluate("engine.breaker('paid').mode") == mode)


def test_breaker_forced_on_one_host_is_forced_on_all(fleet: Hosts) -> None:
    first, second = fleet.start("a", "b", ttl=60, breaker=True, background=True)
    first.run()
    for operation, mode in (("force_open", "forced-open"), ("reset", "automatic")):
        first.evaluate(f"engine.breaker('paid').{operation}()")
        assert first.evaluate("engine.breaker('paid').mode") == mode
        wait_until(partial(has_mode, second, mode), timeout=60)


def holder(fleet: Hosts, processes: list[Process]) -> Process:
    """Return the process that runs the check now."""
    wait_until(lambda: fleet.runs(), timeout=30)
    return next(process for process in processes if process.pid == fleet.runs()[-1][2])


def test_stopped_holder_is_replaced_and_its_late_result_ignored(fleet: Hosts) -> None:
    (fleet.directory / "seconds").write_text("2")
    processes = fleet.start("a", "b", ttl=60)
    processes[0].send("engine.check('paid')")
    stopped = holder(fleet, processes)
    os.kill(stopped.pid, signal.SIGSTOP)
    (other,) = set(processes) - {stopped}
    try:
        (fleet.directory / "seconds").write_text("0")
        wait_until(lambda: other.run().get("message") == "b", timeout=60)
        # What it finds late is bad.
        (fleet.directory / "broken").touch()
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    stopped.receive()
    # Its own call may still run for a moment.
    wait_until(lambda: stopped.run().get("message") == "b", timeout=60)
    for process in processes:
        assert (process.run()["status"], process.run()["message"]) == ("healthy", "b")
    assert [host for _, host, _ in fleet.runs()] == ["a", "b"]


def test_killed_holder_is_replaced(fleet: Hosts) -> None:
    (fleet.directory / "seconds").write_text("3")
    processes = fleet.start("a", "b", ttl=1)
    processes[0].send("engine.check('paid')")
    killed = holder(fleet, processes)
    killed.close()
    (fleet.directory / "seconds").write_text("0")
    started = time.monotonic()
    (other,) = set(processes) - {killed}
    wait_until(lambda: other.run().get("message") == "b", timeout=60)
    # Its lease lasts 6 to 7.2 s.
    assert time.monotonic() - started < 30
