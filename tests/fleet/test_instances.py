"""How instances of a fleet see each other: who is missed, who has ended as planned, and when nobody is missed."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from tests.fleet.host import Hosts, Process
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

pytestmark = where_shared

READY = "lifesigns:{shop}:seen:ready"


def counts(process: Process, state: str) -> int:
    return int(process.fleet()["states"].get(state, 0))


def states(process: Process) -> dict[str, str]:
    return {instance["name"]: instance["state"] for instance in process.fleet()["instances"]}


def age_by(redis: Redis, seconds: int, *instances: str) -> None:
    """Let instances have been seen so much earlier."""
    for instance in instances:
        redis.command("ZINCRBY", READY, str(-1000 * seconds), instance)


def id_of(process: Process, name: str) -> str:
    return next(str(one["id"]) for one in process.fleet()["instances"] if one["name"] == name)


def test_instances_say_what_they_are_and_where_a_fault_is(fleet: Hosts) -> None:
    first, _, third = fleet.start("a", "b", "c", background=True)
    wait_until(lambda: counts(first, "ready") == 3, timeout=60)
    (fleet.directory / "b.broken").touch()
    wait_until(lambda: counts(first, "not_ready") == 1, timeout=60)
    view = third.fleet()
    check = view["checks"]["local"]
    assert (check["scope"], check["healthy"], check["total"], check["fault"]) == ("host", 2, 3, "instance")
    assert check["summary"].startswith("2 of 3 healthy; b since ")
    assert [(one["name"], one["status"]) for one in check["failing"]] == [("b", "error")]
    assert (view["zones"], view["versions"].keys() & {""}, len(view["settings"])) == (
        {"zone-1": {"ready": 2, "not_ready": 1}},
        set(),
        1,
    )
    (broken,) = (one for one in view["instances"] if one["name"] == "b")
    assert (broken["failing"], broken["processes"], broken["state"]) == (["local"], 1, "not_ready")
    (fleet.directory / "broken").touch()
    wait_until(lambda: first.fleet()["checks"].get("paid", {}).get("fault") == "dependency", timeout=60)


def test_processes_of_a_host_are_one_instance_and_another_takes_over(fleet: Hosts) -> None:
    first, second = fleet.start("a", "a", background=True)
    wait_until(lambda: [one["processes"] for one in first.fleet()["instances"]] == [2], timeout=60)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: [one["processes"] for one in second.fleet()["instances"]] == [1], timeout=90)


def test_silent_instance_is_missed_and_later_forgotten(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", background=True)
    wait_until(lambda: counts(first, "ready") == 2, timeout=60)
    os.kill(second.pid, signal.SIGSTOP)
    silent = id_of(first, "b")
    age_by(redis, 40, silent)
    assert states(first) == {"a": "ready", "b": "missed"}
    age_by(redis, 600, silent)
    wait_until(lambda: states(first) == {"a": "ready"}, timeout=90)


def test_draining_instance_has_ended_as_planned(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", background=True)
    wait_until(lambda: counts(first, "ready") == 2, timeout=60)
    second.evaluate("lifesigns.drain()")
    wait_until(lambda: states(first) == {"a": "ready", "b": "draining"}, timeout=60)
    second.close()
    redis.command("ZINCRBY", READY.replace("ready", "draining"), "-60000", id_of(first, "b"))
    wait_until(lambda: states(first) == {"a": "ready"}, timeout=60)


def test_no_instance_is_missed_after_none_was_seen(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", background=True)
    wait_until(lambda: counts(first, "ready") == 2, timeout=60)
    # As if Redis had been away for a minute: the first that is back must not declare the others dead.
    for process in (first, second):
        os.kill(process.pid, signal.SIGSTOP)
    age_by(redis, 60, *redis.command("ZRANGE", READY, "0", "-1").split())
    os.kill(first.pid, signal.SIGCONT)
    wait_until(partial(_was_seen, redis), timeout=60)
    assert states(first) == {"a": "ready", "b": "ready"}
    os.kill(second.pid, signal.SIGCONT)
    time.sleep(1)
    assert counts(first, "missed") == 0


def _was_seen(redis: Redis) -> bool:
    """Return whether any instance was seen within the last 20 seconds."""
    newest = redis.command("ZRANGE", READY, "0", "0", "REV", "WITHSCORES").split()[-1]
    return time.time() - int(float(newest)) / 1000 < 20
