"""What a fleet does while its Redis is gone, slow, emptied, full or failed over: it checks on, and comes back."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from tests.fleet.host import Hosts, Process, hosts
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis
from tests.services.sentinel import MASTER, Sentinel

pytestmark = where_shared


def said(process: Process, text: str) -> list[str]:
    return [line for line in process.evaluate("lines") if text in line]


def announced(redis: Redis) -> int:
    return sum(int(redis.command("ZCARD", f"lifesigns:{{shop}}:seen:{state}")) for state in ("ready", "not_ready"))


def count_runs(fleet: Hosts, seconds: float) -> int:
    before = len(fleet.runs())
    time.sleep(seconds)
    return len(fleet.runs()) - before


def test_redis_killed_hosts_together_check_about_as_often_as_one_and_say_so_once(fleet: Hosts, redis: Redis) -> None:
    processes = fleet.start("a", "b", "c", "d", "e", "f", ttl=2, background=True)
    wait_until(lambda: announced(redis) == 6 and fleet.runs(), timeout=60)
    # All know how many there are once each has announced itself again.
    wait_until(lambda: all(_ready(process).endswith(" 6.0") for process in processes), timeout=60)
    redis.kill()
    wait_until(lambda: said(processes[0], "cannot be used"), timeout=60)
    # Each for itself would be about 40 in ten seconds, one for all 7.
    assert 1 <= count_runs(fleet, 10) <= 14
    known = processes[0].evaluate("engine.known()")["checks"]
    assert known["local"]["status"] == "healthy"
    assert known["paid"]["status"] in ("healthy", "skipped")
    redis.start()
    for process in processes:
        wait_until(partial(said, process, "is used again"), timeout=60)
        assert len(said(process, "cannot be used")) == len(said(process, "is used again")) == 1
    wait_until(lambda: announced(redis) == 6, timeout=60)
    assert 2 <= count_runs(fleet, 8) <= 8


def _ready(process: Process) -> str:
    metrics = process.evaluate("lifesigns.metrics(engine)")
    return next((line for line in metrics.splitlines() if 'health_fleet_instances{state="ready"}' in line), "")


def test_first_host_without_redis_checks_at_once(fleet: Hosts, redis: Redis) -> None:
    redis.kill()
    (process,) = fleet.start("a", ttl=60)
    assert process.run()["message"] == "a"
    assert process.evaluate("engine.fleet()['visible']") is False


def test_stopped_redis_delays_no_check_beyond_a_second_or_two(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", ttl=1)
    first.run()
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        time.sleep(1.2)
        started = time.monotonic()
        assert second.run()["message"] == "b"
        assert second.run("local")["status"] == "healthy"
        assert time.monotonic() - started < 10
        started = time.monotonic()
        second.evaluate("engine.run()")
        assert time.monotonic() - started < 5
        assert second.evaluate("engine.fleet()['visible']") is False
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    wait_until(lambda: second.run() and said(second, "is used again"), timeout=60)
    assert second.fleet()["visible"] is True
    assert [len(said(second, text)) for text in ("cannot be used", "is used again")] == [1, 1]


def test_emptied_redis_is_filled_again_and_no_instance_is_missed(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", ttl=1, background=True)
    wait_until(lambda: announced(redis) == 2, timeout=60)
    redis.command("FLUSHALL")
    view = first.fleet()
    assert (view["visible"], view["states"]["missed"]) == (True, 0)
    wait_until(lambda: announced(redis) == 2, timeout=60)
    wait_until(lambda: {check["message"] for check in (first.run(), second.run())} <= {"a", "b"}, timeout=60)
    assert 2 <= count_runs(fleet, 5) <= 11
    assert said(first, "cannot be used") == []


def test_full_redis_is_as_good_as_none(fleet: Hosts, redis: Redis) -> None:
    first, second = fleet.start("a", "b", ttl=1)
    first.run()
    redis.command("CONFIG", "SET", "maxmemory", "1")
    time.sleep(1.2)
    assert second.run()["message"] in ("a", "b")
    wait_until(lambda: first.run() and said(first, "cannot be used"), timeout=60)
    assert "has used up its memory" in said(first, "cannot be used")[0]
    redis.command("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: first.run() and said(first, "is used again"), timeout=60)


def test_secret_of_the_url_is_in_no_line(tmp_path: Path, redis: Redis) -> None:
    with hosts(tmp_path, redis, url=redis.url_for(0, password="hunter2/secret")) as fleet:
        (process,) = fleet.start("a", ttl=60)
        assert process.run()["message"] == "a"
        (line,) = said(process, "cannot be used")
        assert "credentials" in line
        assert "hunter2" not in line + str(process.fleet())


def test_failed_over_redis_is_found_by_its_sentinel(tmp_path: Path, redis: Redis) -> None:
    from tests.services.redis import PASSWORD, USER

    with Redis() as replica, Sentinel(redis) as sentinel:
        replica.command("REPLICAOF", redis.host, str(redis.port))
        replica.command("CONFIG", "SET", "masteruser", USER)
        replica.command("CONFIG", "SET", "masterauth", PASSWORD)
        wait_until(lambda: "master_link_status:up" in replica.command("INFO", "replication"), timeout=60)
        server = {"url": f"redis://{MASTER}", "username": USER, "password": PASSWORD}
        with hosts(tmp_path, redis, **server, sentinels=[sentinel.address]) as fleet:
            first, second = fleet.start("a", "b", ttl=1)
            assert first.run()["message"] == second.run()["message"] == "a"
            wait_until(lambda: "num-slaves\n1" in sentinel.command("SENTINEL", "MASTER", MASTER), timeout=60)
            redis.kill()
            sentinel.command("SENTINEL", "FAILOVER", MASTER)
            wait_until(lambda: "role:master" in replica.command("INFO", "replication"), timeout=120)
            wait_until(lambda: second.run() and second.fleet()["visible"], timeout=120)
            wait_until(lambda: first.run()["message"] == second.run()["message"], timeout=60)
