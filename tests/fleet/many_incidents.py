"""One incident of many hosts on one machine, whose holder is killed meanwhile: a part of `make fleet`."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import lifesigns
from tests.alerts.receiver import Receiver
from tests.services import wait_until
from tests.services.redis import Redis

# Seconds: 1.5 times a lease.
MAX_REPLACED_AFTER = 15.0
# For how long commands are counted while nothing fails.
QUIET_SECONDS = 30


def serve(directory: Path, host: str, url: str, channel: dict[str, Any]) -> None:
    """Be the process of a host, until killed; write what it knows into a file of its name."""
    store = directory / "stores" / host
    store.mkdir(mode=0o700, parents=True)
    fleet = {"url": url, "instance": host}
    alerts = {"CHANNELS": {"hook": channel}, "RETRIES": [0.2]}
    engine = lifesigns.Engine(
        share="fleet", application="shop", store_path=store, fleet=fleet, alerts=alerts, log=False
    )
    engine.register("database", lambda: not (directory / "broken").exists(), ttl=1.0, identity="database")
    engine.start_background()
    while True:
        incidents = [(one["id"], one["state"]) for one in engine.incidents() if one["check"] == "database"]
        known = {"decides": engine.decides_incidents(), "incidents": incidents}
        written = directory / f"{host}.new"
        written.write_text(json.dumps(known))
        written.rename(directory / f"{host}.known")
        time.sleep(0.25)


def count_commands(redis: Redis) -> int:
    """Return how many commands hosts have sent; what scripts call within Redis is not among them."""
    lines = redis.command("INFO", "commandstats").splitlines()
    calls = [line for line in lines if line.startswith(("cmdstat_eval:", "cmdstat_hgetall:"))]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in calls)


class Hosts:
    """The processes of the hosts, by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pids: dict[str, int] = {}

    def fork(self, host: str, url: str, channel: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                serve(self.directory, host, url, channel)
            finally:
                os._exit(1)
        self.pids[host] = pid

    def kill(self, host: str) -> None:
        pid = self.pids.pop(host)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def close(self) -> None:
        for host in list(self.pids):
            self.kill(host)

    def known(self) -> dict[str, dict[str, Any]]:
        """Return what each host that lives knows."""
        paths = {host: self.directory / f"{host}.known" for host in self.pids}
        return {host: json.loads(path.read_text()) for host, path in paths.items() if path.exists()}

    def holders(self) -> list[str]:
        return [host for host, known in self.known().items() if known["decides"]]

    def know(self, state: str) -> bool:
        """Whether all hosts know one incident, the same, in this state."""
        known = [known["incidents"] for known in self.known().values()]
        return (
            len(known) == len(self.pids)
            and len(known[0]) == 1
            and known[0][0][1] == state
            and known.count(known[0]) == len(known)
        )


def measure_incident(hosts: int, quiet_seconds: float = QUIET_SECONDS) -> dict[str, Any]:
    """Let the database of all hosts fail, kill the holder, and let it recover; before, count commands for so long."""
    with tempfile.TemporaryDirectory() as directory, Redis() as redis:
        receiver = Receiver()
        found = Hosts(Path(directory))
        try:
            # Before the receiver has a thread.
            for number in range(hosts):
                found.fork(f"host-{number:02}", redis.url, receiver.channel)
            with receiver:
                figures = _measure(found, receiver, redis, quiet_seconds)
        finally:
            found.close()
    kinds = receiver.of("database")
    return {
        "incident_hosts": hosts,
        "incident_triggers": kinds.count("triggered"),
        "incident_resolves": kinds.count("resolved"),
        "incident_ids": len({body["data"]["incident_id"] for body in receiver.bodies}),
        "incident_violations": len(receiver.violations),
        **figures,
    }


def _measure(hosts: Hosts, receiver: Receiver, redis: Redis, quiet_seconds: float) -> dict[str, float]:
    wait_until(lambda: len(hosts.known()) == len(hosts.pids) and len(hosts.holders()) == 1, 300, "nobody decides")
    alarms, number = "lifesigns:{shop}:alarms", str(len(hosts.pids))
    wait_until(lambda: redis.command("HLEN", alarms) == number, 120, "not all have announced themselves")
    sent = count_commands(redis)
    time.sleep(quiet_seconds)
    commands = (count_commands(redis) - sent) / len(hosts.pids) * 60 / quiet_seconds
    started = time.monotonic()
    (hosts.directory / "broken").touch()
    wait_until(lambda: receiver.of("database"), 120, "no trigger")
    triggered = time.monotonic() - started
    wait_until(lambda: hosts.know("firing"), 120, "not all know it")
    (holder,) = hosts.holders()
    hosts.kill(holder)
    killed = time.monotonic()
    wait_until(hosts.holders, 120, "nobody has taken over")
    replaced = time.monotonic() - killed
    (hosts.directory / "broken").unlink()
    wait_until(lambda: "resolved" in receiver.of("database"), 180, "no resolve")
    wait_until(lambda: hosts.know("resolved"), 120, "not all know that it is over")
    return {
        "incident_commands_per_instance_and_minute": round(commands, 1),
        "incident_triggered_after": round(triggered, 1),
        "incident_holder_replaced_after": round(replaced, 1),
    }
