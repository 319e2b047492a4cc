"""Many hosts of a fleet on one machine, and the figures that hold for them: `make fleet`.

Each host has a store of its own; its processes are real ones, forked from one that has imported everything. It prints
figures as JSON and ends with 1 if one is out of bounds. Held by the test `test_scale.py` with fewer hosts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import lifesigns
from tests.fleet.many_incidents import MAX_REPLACED_AFTER, count_commands, measure_incident
from tests.services import wait_until
from tests.services.redis import Redis

# What may not be exceeded.
MAX_RUNS = 1.1
MAX_COMMANDS = 30.0
MAX_UNPROBED_TTLS = 2.0
MAX_VIEW = 300.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured, in seconds; `faults` are how often a holder is stopped, and as often one killed."""

    hosts: int = 20
    processes: int = 10
    ttl: float = 10.0
    seconds: float = 120.0
    faults: int = 3


def serve(directory: Path, host: str, url: str, ttl: float) -> None:
    """Be one process of a host, until killed."""
    store = directory / "stores" / host
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    fleet = {"url": url, "instance": host, "zone": "a"}
    engine = lifesigns.Engine(share="fleet", application="shop", store_path=store, fleet=fleet, log=False)

    def paid() -> dict[str, Any]:
        with open(directory / "started", "a") as started:
            started.write(f"{time.time()} {host} {os.getpid()}\n")
        seconds = directory / "seconds"
        time.sleep(float(seconds.read_text()) if seconds.exists() else 0.0)
        return {"status": "healthy", "message": f"found by {os.getpid()}."}

    engine.register("paid", paid, scope="fleet", ttl=ttl, timeout=5.0, critical=False, identity="paid")
    engine.register("local", lambda: True, ttl=ttl, identity="local")
    engine.start_background()
    while True:
        time.sleep(3600)


class ManyHosts:
    """The processes, by pid their host."""

    def __init__(self, directory: Path, redis: Redis, scale: Scale, database: int = 0) -> None:
        """Let them know each other by that database of Redis."""
        self.directory, self.redis, self.scale, self.database = directory, redis, scale, database
        self.pids: dict[int, str] = {}

    def start(self, hosts: int, processes: int) -> None:
        for host in range(hosts):
            for _ in range(processes):
                self.fork(f"host-{host:02}")

    def fork(self, host: str) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                serve(self.directory, host, self.redis.url_for(self.database), self.scale.ttl)
            finally:
                os._exit(1)
        self.pids[pid] = host

    def kill(self, pid: int) -> str:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return self.pids.pop(pid)

    def close(self) -> None:
        for pid in list(self.pids):
            self.kill(pid)

    def runs(self, since: float = 0.0) -> list[tuple[float, str, int]]:
        """Return when, where and by which process the check was started."""
        path = self.directory / "started"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(float(at), host, int(pid)) for at, host, pid in lines if float(at) >= since]

    def wait_for_run(self) -> None:
        """Return once another run was started."""
        known = len(self.runs())
        wait_until(lambda: len(self.runs()) > known, 60)

    def stored(self, text: str) -> tuple[int, bool]:
        """Return the fence of the result that the hosts share, and whether that holds a text."""
        (key,) = self.redis.command("KEYS", "lifesigns:*:r:paid:*").split()
        found = "return string.find(redis.call('HGET', KEYS[1], 'value'), ARGV[1], 1, true) or 0"
        holds = self.redis.command("EVAL", found, "1", key, text) != "0"
        return int(self.redis.command("HGET", key, "fence")), holds

    def commands(self) -> int:
        """Return how many commands the hosts have sent; what scripts call within Redis is not among them."""
        return count_commands(self.redis)


def rate(hosts: Sequence[ManyHosts], seconds: float) -> float:
    """Return the mean of the runs for each ttl within so many seconds, between a first and a last run."""
    since = time.time()
    time.sleep(seconds)
    rates = []
    for many in hosts:
        times = [at for at, _, _ in many.runs(since)]
        assert len(times) >= 2, "too short"
        rates.append((len(times) - 1) / (times[-1] - times[0]) * many.scale.ttl)
    return sum(rates) / len(rates)


def measure_one(redis: Redis, scale: Scale) -> float:
    """Return the runs for each ttl of five hosts that are alone: each renews as early as chance has it."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as undo:
        hosts = []
        for database in range(1, 6):
            folder = Path(directory, str(database))
            folder.mkdir()
            hosts.append(ManyHosts(folder, redis, scale, database))
            undo.callback(hosts[-1].close)
            hosts[-1].start(1, 1)
        wait_until(lambda: all(host.runs() for host in hosts), 60)
        return rate(hosts, 4 * scale.ttl)


def inject_faults(many: ManyHosts) -> dict[str, Any]:
    """Stop and kill the process that runs the check; return what was found of the results and of the time between."""
    (many.directory / "seconds").write_text("1.5")
    since = time.time()
    late = 0
    for number in range(2 * many.scale.faults):
        many.wait_for_run()
        _, host, pid = many.runs()[-1]
        if number % 2:
            many.kill(pid)
            many.fork(host)
            continue
        os.kill(pid, signal.SIGSTOP)
        many.wait_for_run()
        wait_until(lambda: many.stored(f"found by {many.runs()[-1][2]}.")[1], 60)
        before, _ = many.stored("")
        os.kill(pid, signal.SIGCONT)
        time.sleep(3)
        after, is_late = many.stored(f"found by {pid}.")
        late += after < before or (is_late and many.runs()[-1][2] != pid)
    times = sorted(at for at, _, _ in many.runs(since))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    (many.directory / "seconds").unlink()
    return {"late_results": late, "longest_gap_in_ttls": round(max(gaps) / many.scale.ttl, 2)}


SIMULATED = """
local described = redis.call('HGET', KEYS[2], redis.call('HKEYS', KEYS[2])[1])
local now = redis.call('TIME')[1] * 1000
for number = 2, tonumber(ARGV[1]) do
  redis.call('HSET', KEYS[2], 'simulated-' .. number, described)
  redis.call('ZADD', KEYS[1], now, 'simulated-' .. number)
end
return 1
"""


def measure_view(instances: int = 1_000) -> float:
    """Return how long it takes to read what so many instances of 22 checks say, in milliseconds."""
    with Redis() as redis, tempfile.TemporaryDirectory() as directory:
        fleet = {"url": redis.url, "instance": "a"}
        engine = lifesigns.Engine(share="fleet", application="shop", store_path=directory, fleet=fleet, log=False)
        for number in range(22):
            engine.register(f"check_{number}", lambda: True)
        engine.run()
        engine.start_background()
        seen, described = "lifesigns:{shop}:seen:ready", "lifesigns:{shop}:instances"
        wait_until(lambda: redis.command("HLEN", described) == "1", 60)
        assert redis.command("EVAL", SIMULATED, "2", seen, described, str(instances)) == "1"
        times = []
        for _ in range(5):
            started = time.monotonic()
            view = engine.fleet()
            times.append(time.monotonic() - started)
            assert view is not None
            assert len(view["instances"]) == instances
        return round(min(times) * 1_000, 1)


def measure(scale: Scale) -> dict[str, Any]:
    """Return all figures."""
    with Redis() as redis, tempfile.TemporaryDirectory() as directory:
        alone = measure_one(redis, scale)
        many = ManyHosts(Path(directory), redis, scale)
        try:
            many.start(scale.hosts, scale.processes)
            seen = "lifesigns:{shop}:seen:ready"
            wait_until(lambda: int(redis.command("ZCARD", seen)) == scale.hosts, 300, "not all announced themselves")
            time.sleep(scale.ttl)
            commands, since = many.commands(), time.monotonic()
            together = rate([many], scale.seconds)
            minutes = (time.monotonic() - since) / 60
            sent = many.commands() - commands
            hosts = Counter(host for _, host, _ in many.runs())
            faults = inject_faults(many) if scale.faults else {}
        finally:
            many.close()
    return {
        **asdict(scale),
        "runs_per_ttl_alone": round(alone, 3),
        "runs_per_ttl": round(together, 3),
        "runs_ratio": round(together / alone, 3),
        "commands_per_instance_and_minute": round(sent / minutes / scale.hosts, 1),
        "commands_per_process_and_minute": round(sent / minutes / scale.hosts / scale.processes, 1),
        "hosts_that_ran_it": len(hosts),
        **faults,
    }


def broken(figures: dict[str, Any]) -> list[str]:
    """Return which bounds the figures exceed."""
    bounds = {
        "runs_ratio": MAX_RUNS,
        "commands_per_instance_and_minute": MAX_COMMANDS,
        "late_results": 0,
        "longest_gap_in_ttls": MAX_UNPROBED_TTLS,
        "view_of_1000_instances_ms": MAX_VIEW,
        "incident_commands_per_instance_and_minute": MAX_COMMANDS,
        "incident_triggers": 1,
        "incident_resolves": 1,
        "incident_ids": 1,
        "incident_violations": 0,
        "incident_holder_replaced_after": MAX_REPLACED_AFTER,
    }
    return [f"{name}: {figures[name]} > {bound}" for name, bound in bounds.items() if figures.get(name, 0) > bound]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in asdict(Scale()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    # The processes are forked: nothing of the engine may run here before.
    scale = Scale(**vars(parser.parse_args()))
    figures = {**measure_incident(scale.hosts), **measure(scale)}
    figures["view_of_1000_instances_ms"] = measure_view()
    print(json.dumps(figures, indent=2))
    wrong = broken(figures)
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
