"""Actions of a fleet through a real Redis: one host acts for all, and another one goes on when it is gone."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from lifesigns import Engine
from tests.fleet.acting import FLEET, HOST, ActingProcess, acted, all_have, start_acting
from tests.fleet.host import Hosts
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

pytestmark = where_shared

LOST = "the fleet cannot be asked"


def break_down(fleet: Hosts, what: str = "broken") -> None:
    (fleet.directory / what).touch()


def heals(fleet: Hosts, what: str) -> None:
    (fleet.directory / "heals").write_text(what)


def has(process: ActingProcess, state: str) -> bool:
    return state in process.states()


def holder(fleet: Hosts, processes: list[ActingProcess]) -> ActingProcess:
    """Return the process that acts for the fleet."""
    wait_until(lambda: acted(fleet), timeout=90)
    return next(process for process in processes if process.pid == acted(fleet)[-1][2])


def in_words(processes: list[ActingProcess]) -> str:
    """Return the logs of processes, for people."""
    return "\n".join(f"{process.pid}: {process.texts()}" for process in processes)


def is_lost_and_stopped(process: ActingProcess) -> bool:
    """Return whether the log says that the action of the fleet was lost, and that its limit keeps it from another run.

    The latter twice if its check has failed on one host until then, and on another one later. A host that Redis did not
    answer within a second, as on a busy machine, has noted that, too, before or after.
    """
    states, texts = process.states(), process.texts()
    stopped = [text for text in texts if text.startswith("heal stopped: ") and text != f"heal stopped: {LOST}"]
    is_lost = states.count("heal lost") == 1 and set(states) == {"heal lost", "heal stopped"}
    return is_lost and 1 <= len(stopped) <= 2 and all("it ran once" in text for text in stopped)


def test_action_of_the_fleet__runs_once_for_all_hosts_and_is_seen_on_each(fleet: Hosts) -> None:
    processes = start_acting(fleet, "abcdef", {"heal": FLEET})
    heals(fleet, "broken")
    break_down(fleet)
    all_have(processes, "heal healed")
    assert len(acted(fleet)) == 1
    entries = [process.evaluate("engine.action_log()")[0] for process in processes]
    assert len({(entry["id"], entry["text"], entry["in_words"], entry["fence"]) for entry in entries}) == 1
    assert entries[0]["text"] == f"healed by {acted(fleet)[0][1]}"
    said = [line for process in processes for line in process.evaluate("lines") if line.startswith("heal helped")]
    assert said == ["heal helped: paid is well again"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_action_of_the_fleet__whose_host_ends_is_lost_and_keeps_its_limits(fleet: Hosts, end: int) -> None:
    (fleet.directory / "acting_seconds").write_text("3600" if end == signal.SIGKILL else "5")
    heal = {**FLEET, "limit": {"per_hour": 1, "per_incident": 5}}
    processes = start_acting(fleet, "abc", {"heal": heal})
    break_down(fleet)
    gone = holder(fleet, processes)
    os.kill(gone.pid, end)
    left = [process for process in processes if process is not gone]
    try:
        wait_until(lambda: all(map(is_lost_and_stopped, left)), timeout=120, message=lambda: in_words(left))
    finally:
        os.kill(gone.pid, signal.SIGCONT)
    assert len(acted(fleet)) == 1
    if end == signal.SIGSTOP:
        # What it finds late changes nothing.
        wait_until(lambda: acted(fleet, "end"), timeout=60)
        wait_until(lambda: all(map(is_lost_and_stopped, processes)), timeout=120, message=lambda: in_words(processes))


def test_action_of_the_fleet__is_switched_and_run_on_any_host(fleet: Hosts) -> None:
    processes = start_acting(fleet, "abc", {"heal": FLEET})
    first, second, third = processes
    assert first.evaluate("engine.switch_action('heal', False, 'anna')")
    assert first.disabled() == ["anna"]
    wait_until(lambda: all(process.disabled() == ["anna"] for process in processes), timeout=60)
    break_down(fleet)
    all_have(processes, "heal stopped")
    assert second.texts() == ["heal stopped: disabled by anna"]
    assert third.evaluate("engine.switch_action('heal', True, 'bert')")
    heals(fleet, "broken")
    all_have(processes, "heal stopped", "heal healed")
    wait_until(lambda: all(process.disabled() == [None] for process in processes), timeout=60)
    for number, process in enumerate(processes, 1):
        process.evaluate("engine.run_action('heal', 'carl')")
        all_have([second], "heal stopped", "heal healed", *["heal done"] * number)
    assert len(acted(fleet)) == 4
    assert second.evaluate("engine.switch_action(None, False, 'anna')")
    wait_until(lambda: all(process.evaluate("engine.actions()")["off"] == "anna" for process in processes), timeout=60)


def test_redis_lost__the_fleet_stops_acting_and_each_host_acts_once_an_hour(fleet: Hosts, redis: Redis) -> None:
    limit = {"per_hour": 5, "per_incident": 5}
    first, second = processes = start_acting(fleet, "ab", {"heal": FLEET, "local": {**HOST, "limit": limit}})
    redis.kill()
    break_down(fleet)
    wait_until(lambda: f"heal stopped: {LOST}" in first.texts() + second.texts(), timeout=90)
    assert second.evaluate("engine.switch_action('heal', False, 'anna')")
    heals(fleet, "HOST.broken")
    for end in ("local healed", "local stopped"):
        break_down(fleet, "a.broken")
        wait_until(partial(has, first, end), timeout=90)
    assert [host for _, host, _ in acted(fleet)] == ["a"]
    alone = "local stopped: the fleet cannot be asked, and this host has acted within the last hour"
    assert alone in first.texts()
    redis.start()
    wait_until(lambda: all("anna" in process.disabled() for process in processes), timeout=90)
    # The host may act again. What was disabled meanwhile was handed over before anything of the fleet could start.
    wait_until(lambda: [host for _, host, _ in acted(fleet)] == ["a", "a"], timeout=90)


def test_fleet_scope__is_refused_without_a_fleet_and_for_a_check_of_each_host() -> None:
    with pytest.raises(ValueError, match=r"heal.scope 'fleet' needs Engine\(share='fleet'\)"):
        Engine(actions={"heal": {"action": print, **FLEET}})
    fleet = {"url": "redis://127.0.0.1:1/0", "name": "shop"}
    engine = Engine(share="fleet", application="refused", fleet=fleet, actions={"heal": {"action": print, **FLEET}})
    with pytest.raises(ValueError, match=r"register\('paid'\): its scope must be 'fleet'"):
        engine.register("paid", lambda: True)
    engine.register("paid", lambda: True, scope="fleet")
    with pytest.raises(ValueError, match=r"first\.then must have the same scope"):
        Engine(actions={"first": {"action": print, **FLEET, "then": "then"}, "then": {"action": print}})
