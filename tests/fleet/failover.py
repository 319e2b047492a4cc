"""How soon another host runs the check when the one that runs it is killed, stopped or cut off: `make fleet`.

Each host reaches Redis through a proxy of its own. Prints figures as JSON and ends with 1 if one is out of bounds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fleet.host import Hosts, Process
from tests.services import wait_until
from tests.services.proxy import Proxy
from tests.services.redis import PASSWORD, USER, Redis

if TYPE_CHECKING:
    from typing_extensions import Self

LEASE = 6.0
# What may not be exceeded.
MAX_FAILOVER = 1.5 * LEASE
MAX_UNPROBED_TTLS = 2.0
# How long a run takes: long enough to be interrupted.
RUN_SECONDS = 2.5


@dataclass
class Cut:
    """A host that is cut off, and how to let it be again."""

    process: Process
    proxy: Proxy

    def kill(self) -> None:
        self.process.close()

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def partition(self) -> None:
        self.proxy.drop()

    def half_open(self) -> None:
        self.proxy.drop_answers()

    def heal(self) -> None:
        self.proxy.resume()
        if self.process.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)


WAYS: dict[str, Callable[[Cut], None]] = {
    "killed": Cut.kill,
    "stopped": Cut.stop,
    "partitioned": Cut.partition,
    "half_open": Cut.half_open,
}


class CutHosts(Hosts):
    """Hosts each of which has a proxy between itself and Redis."""

    def __init__(self, directory: Path, redis: Redis, ttl: float) -> None:
        super().__init__(directory, {})
        self.redis, self.ttl = redis, ttl
        self.cuts: dict[str, Cut] = {}
        (directory / "seconds").write_text(str(RUN_SECONDS))

    def add(self, host: str) -> None:
        proxy = Proxy(self.redis.host, self.redis.port)
        proxy.start()
        self.fleet = {"url": f"redis://{proxy.host}:{proxy.port}/0", "username": USER, "password": PASSWORD}
        (process,) = self.start(host, ttl=self.ttl, background=True)
        self.cuts[host] = Cut(process, proxy)

    def wait_for_run(self, known: int, *, but_of: str = "") -> tuple[float, str]:
        """Return when and where a run was started after so many, on another host than one."""

        def later() -> list[tuple[float, str, int]]:
            return [run for run in self.runs()[known:] if run[1] != but_of]

        wait_until(later, 120, "no run")
        at, host, _ = later()[0]
        return at, host

    def stored(self) -> tuple[int, str]:
        """Return the fence of the result that the hosts share, and whose it is."""
        (key,) = self.redis.command("KEYS", "lifesigns:*:r:paid:*").split()
        found = "return string.match(redis.call('HGET', KEYS[1], 'value'), 'host%-%d+')"
        return int(self.redis.command("HGET", key, "fence")), self.redis.command("EVAL", found, "1", key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for cut in self.cuts.values():
            cut.process.close()
            cut.proxy.close()


@dataclass
class Figures:
    failover: dict[str, float] = field(default_factory=dict)
    unprobed: float = 0.0
    late_results: int = 0


def inject(many: CutHosts, way: str, figures: Figures) -> None:
    """Have the host that runs the check fail in that way, and see what becomes of it."""
    known = len(many.runs())
    started, holder = many.wait_for_run(known)
    cut = many.cuts[holder]
    time.sleep(0.3)
    failed = time.time()
    WAYS[way](cut)
    other_started, other = many.wait_for_run(known, but_of=holder)
    figures.failover[way] = max(figures.failover.get(way, 0.0), other_started - failed)
    figures.unprobed = max(figures.unprobed, other_started - started)
    wait_until(lambda: many.stored()[1] == other, 60, "its result is not stored")
    fence, _ = many.stored()
    runs = len(many.runs())
    cut.heal()
    # Its late result arrives now, if ever; a run that it starts for all is none.
    time.sleep(3)
    after, whose = many.stored()
    new_runs = {host for _, host, _ in many.runs()[runs:]}
    figures.late_results += after < fence or (whose == holder and holder not in new_runs)
    if way == "killed":
        cut.proxy.close()
        many.add(holder)


def measure(hosts: int = 5, ttl: float = 10.0, rounds: int = 3) -> Figures:
    figures = Figures()
    with Redis() as redis, tempfile.TemporaryDirectory() as directory, ExitStack() as undo:
        many = undo.enter_context(CutHosts(Path(directory), redis, ttl))
        for number in range(hosts):
            many.add(f"host-{number}")
        for _ in range(rounds):
            for way in WAYS:
                inject(many, way, figures)
    return figures


def main() -> int:
    ttl = 10.0
    figures = measure(ttl=ttl)
    found = {f"failover_{way}_s": round(seconds, 2) for way, seconds in figures.failover.items()}
    unprobed = round(figures.unprobed / ttl, 2)
    print(json.dumps({**found, "unprobed_ttls": unprobed, "late_results": figures.late_results}, indent=2))
    wrong = [f"{name}: {seconds} > {MAX_FAILOVER}" for name, seconds in found.items() if seconds > MAX_FAILOVER]
    wrong += [f"unprobed_ttls: {unprobed} > {MAX_UNPROBED_TTLS}"] if unprobed > MAX_UNPROBED_TTLS else []
    wrong += ["late_results: 0 are allowed"] if figures.late_results else []
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
