"""Incidents that hosts of a fleet have in common: one of each, whichever host dies, and whatever becomes of Redis."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.alerts.receiver import Receiver
from tests.fleet.host import Hosts, Process, hosts
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.proxy import Proxy
from tests.services.redis import Redis

pytestmark = where_shared


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
    assert receiver.violations == []


def launch(fleet: Hosts, receiver: Receiver, *names: str) -> list[Process]:
    alerts = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.2]}
    return fleet.start(*names, alerts=alerts, background=True)


def start(fleet: Hosts, receiver: Receiver, *names: str) -> list[Process]:
    """Start a process on each host; one of them decides when this returns."""
    processes = launch(fleet, receiver, *names)
    wait_until(lambda: any(process.decides() for process in processes), timeout=90)
    return processes


def holder(processes: list[Process]) -> Process:
    (found,) = [process for process in processes if process.decides()]
    return found


def fail(fleet: Hosts, check: str = "database") -> None:
    (fleet.directory / f"{check}.broken").touch()


def recover(fleet: Hosts, check: str = "database") -> None:
    (fleet.directory / f"{check}.broken").unlink()


def took(receiver: Receiver, *kinds: str, check: str = "database") -> bool:
    return receiver.of(check) == list(kinds)


def states(process: Process) -> list[str]:
    return [one["state"] for one in process.incidents()]


def held(process: Process) -> str:
    """What a process holds of the database's incidents, for people."""
    incidents = [(one["id"], one["state"], one["message"], one["timeline"]) for one in process.incidents()]
    return f"{process.evaluate('host')} (decides: {process.decides()}): {incidents}\n{process.evaluate('lines')}"


def wait_for_state(processes: list[Process], state: str) -> None:
    """Wait until all hold one incident of the database, which is in that state."""
    wait_until(
        lambda: all(states(process) == [state] for process in processes),
        timeout=90,
        message=lambda: "\n".join(held(process) for process in processes),
    )


def same_everywhere(processes: list[Process]) -> bool:
    """Whether all know one incident of the database, which is the same."""
    known = [{one["id"] for one in process.incidents()} for process in processes]
    return len(known[0]) == 1 and all(ids == known[0] for ids in known)


def test_database_of_all_hosts_fails_one_incident_one_trigger_one_resolve(fleet: Hosts, receiver: Receiver) -> None:
    processes = start(fleet, receiver, "a", "b", "c", "d", "e")
    fail(fleet)
    wait_until(lambda: same_everywhere(processes), timeout=90)
    everywhere = {"failing": 5, "total": 5, "names": ["a", "b", "c", "d", "e"]}
    wait_until(lambda: all(process.incidents()[0]["instances"] == everywhere for process in processes), timeout=90)
    (incident,) = processes[-1].incidents()
    assert incident["message"].startswith("5 of 5 instances: a, b, c, d, e: refused by the database of ")
    assert took(receiver, "triggered")
    assert processes[0].fleet()["incidents_holder"]["name"] == holder(processes).evaluate("host")
    recover(fleet)
    wait_until(lambda: took(receiver, "triggered", "resolved"), timeout=90)
    wait_for_state(processes, "resolved")
    assert {body["data"]["incident_id"] for body in receiver.bodies} == {incident["id"]}


def test_one_instance_fails_it_is_named(fleet: Hosts, receiver: Receiver) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    fail(fleet, "b")
    wait_until(lambda: receiver.is_open("local"), timeout=90)
    data = next(body["data"] for body in receiver.bodies if body["data"]["check"] == "local")
    assert data["instances"] == {"failing": 1, "total": 3, "names": ["b"]}
    assert data["message"].startswith("1 of 3 instances: b: ")
    recover(fleet, "b")
    wait_until(lambda: took(receiver, "triggered", "resolved", check="local"), timeout=90)
    # The same of what is judged by the result that all hosts share.
    (fleet.directory / "broken").touch()
    wait_until(lambda: took(receiver, "triggered", check="paid"), timeout=90)
    (fleet.directory / "broken").unlink()
    wait_until(lambda: took(receiver, "triggered", "resolved", check="paid"), timeout=90)
    assert sum(process.decides() for process in processes) == 1


def test_instance_that_fails_and_ends_is_no_incident_any_more(fleet: Hosts, receiver: Receiver) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    other = next(process for process in processes if not process.decides())
    name = other.evaluate("host")
    fail(fleet, name)
    wait_until(lambda: took(receiver, "triggered", check="local"), timeout=90)
    other.close()
    # After 35 s without a word.
    wait_until(lambda: took(receiver, "triggered", "resolved", check="local"), timeout=180)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_holder_killed_or_stopped_another_continues_its_incident(
    fleet: Hosts, receiver: Receiver, number: signal.Signals
) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    fail(fleet)
    wait_until(lambda: took(receiver, "triggered") and same_everywhere(processes), timeout=90)
    first = holder(processes)
    (incident,) = first.incidents()
    others = [process for process in processes if process is not first]
    os.kill(first.pid, number)
    try:
        stopped = time.monotonic()
        wait_until(lambda: any(process.decides() for process in others), timeout=90)
        # A lease lasts 10 to 12 s; the rest is for a busy machine.
        assert time.monotonic() - stopped < 30
        recover(fleet)
        wait_until(lambda: took(receiver, "triggered", "resolved"), timeout=180)
    finally:
        if number == signal.SIGSTOP:
            os.kill(first.pid, signal.SIGCONT)
    if number == signal.SIGSTOP:
        wait_until(lambda: not first.decides() and states(first) == ["resolved"], timeout=90)
        assert sum(process.decides() for process in processes) == 1
    assert took(receiver, "triggered", "resolved")
    assert {body["data"]["incident_id"] for body in receiver.bodies} == {incident["id"]}


def test_redis_emptied_in_an_open_incident_nothing_is_sent_twice(
    fleet: Hosts, receiver: Receiver, redis: Redis
) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    fail(fleet)
    wait_until(lambda: took(receiver, "triggered") and same_everywhere(processes), timeout=90)
    first = holder(processes)
    redis.command("FLUSHALL")
    wait_until(lambda: redis.command("EXISTS", "lifesigns:{shop}:d:incidents-1") == "1", timeout=90)
    wait_until(lambda: redis.command("HLEN", "lifesigns:{shop}:alarms") == "3", timeout=90)
    time.sleep(3)  # Three turns of the holder, after all have spoken.
    assert took(receiver, "triggered")
    assert same_everywhere(processes)
    assert holder(processes) is first
    recover(fleet)
    wait_until(lambda: took(receiver, "triggered", "resolved"), timeout=90)


def test_acknowledged_and_silenced_on_another_host(fleet: Hosts, receiver: Receiver) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    fail(fleet)
    wait_until(lambda: took(receiver, "triggered") and same_everywhere(processes), timeout=90)
    others = [process for process in processes if not process.decides()]
    assert others[0].evaluate("engine.acknowledge('database', 'anna', 'on it')") is True
    assert states(others[0]) == ["acknowledged"], "at once where it was done"
    wait_until(lambda: took(receiver, "triggered", "acknowledged"), timeout=90)
    wait_for_state(processes, "acknowledged")
    (acknowledged,) = others[1].incidents()
    assert (acknowledged["acknowledged_by"], acknowledged["comment"]) == ("anna", "on it")
    recover(fleet)
    wait_until(lambda: took(receiver, "triggered", "acknowledged", "resolved"), timeout=90)
    silence = "engine.silence({'check': ['database']}, time.time() - 1, time.time() + 600, 'anna')"
    found = others[1].evaluate(silence)
    wait_until(lambda: all(len(process.evaluate("engine.silences()")) == 1 for process in processes), timeout=90)
    fail(fleet)
    wait_until(lambda: states(processes[0])[-1:] == ["silenced"], timeout=90)
    assert took(receiver, "triggered", "acknowledged", "resolved")
    assert others[0].evaluate(f"engine.expire_silence({found!r})") is True
    wait_until(lambda: took(receiver, "triggered", "acknowledged", "resolved", "triggered"), timeout=90)


def test_acknowledged_while_the_holder_dies_is_not_lost(fleet: Hosts, receiver: Receiver) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    fail(fleet)
    wait_until(lambda: took(receiver, "triggered") and same_everywhere(processes), timeout=90)
    first = holder(processes)
    others = [process for process in processes if process is not first]
    os.kill(first.pid, signal.SIGKILL)
    assert others[0].evaluate("engine.acknowledge('database', 'anna')") is True
    wait_until(lambda: took(receiver, "triggered", "acknowledged"), timeout=120)
    wait_until(lambda: states(others[1]) == ["acknowledged"], timeout=90)


def test_redis_comes_and_goes_one_incident(fleet: Hosts, receiver: Receiver, redis: Redis) -> None:
    processes = start(fleet, receiver, "a", "b", "c")
    first = holder(processes)
    redis.kill()
    wait_until(lambda: any("cannot be used" in line for line in first.evaluate("lines")), timeout=90)
    # The last holder continues; the others wait.
    fail(fleet)
    wait_until(lambda: took(receiver, "triggered"), timeout=90)
    time.sleep(3)
    assert took(receiver, "triggered")
    for _ in range(2):
        redis.start()
        wait_until(partial(same_everywhere, processes), timeout=90)
        redis.kill()
        time.sleep(4)
    redis.start()
    wait_until(lambda: same_everywhere(processes), timeout=90)
    recover(fleet)
    wait_until(lambda: took(receiver, "triggered", "resolved"), timeout=180)
    wait_for_state(processes, "resolved")
    assert took(receiver, "triggered", "resolved")


def test_holder_cut_off_continues_alone_and_hands_over(tmp_path: Path, receiver: Receiver, redis: Redis) -> None:
    with Proxy(redis.host, redis.port) as proxy:
        behind = redis.url.replace(f":{redis.port}", f":{proxy.port}")
        with hosts(tmp_path, redis, url=behind) as cut, hosts(tmp_path, redis) as others:
            (first,) = start(cut, receiver, "a")
            rest = launch(others, receiver, "b", "c")
            fail(cut)
            wait_until(lambda: took(receiver, "triggered") and same_everywhere([first, *rest]), timeout=90)
            proxy.drop()
            wait_until(lambda: any(process.decides() for process in rest), timeout=90)
            # It knows nothing of the others, who go on.
            fail(cut, "a")
            wait_until(lambda: took(receiver, "triggered", check="local"), timeout=90)
            recover(cut)
            wait_until(lambda: took(receiver, "triggered", "resolved"), timeout=180)
            proxy.resume()
            wait_until(lambda: not first.decides() and states(first) == ["resolved"], timeout=90)
            (own,) = first.incidents("local")
            known = [own["id"]]
            wait_until(lambda: all([one["id"] for one in process.incidents("local")] == known for process in rest), 90)
            recover(cut, "a")
            wait_until(lambda: took(receiver, "triggered", "resolved", check="local"), timeout=90)
    assert took(receiver, "triggered", "resolved")


def test_holder_that_ends_leaves_the_lease_to_others(fleet: Hosts, receiver: Receiver) -> None:
    processes = start(fleet, receiver, "a", "b")
    first = holder(processes)
    (other,) = set(processes) - {first}
    assert first.evaluate("lifesigns.drain()") is None
    first.send("exit()")
    assert first.process.wait(60) == 0
    wait_until(other.decides, timeout=60)
    fail(fleet)
    wait_until(lambda: took(receiver, "triggered"), timeout=90)
