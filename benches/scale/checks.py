"""How long a sweep of many HTTP checks takes, each of a server of its own that answers after 100 ms, and its memory.

As a program, `python -m benches.scale.checks PORT COUNT SWEEPS`, it is the process that checks: it prints what it took.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import lifesigns
from lifesigns import specs
from tests.faults import sockets

DELAY = 0.1
# At production cadence: connections are kept for longer.
PAUSE = 0.5


class Sweeps(NamedTuple):
    """Seconds of wall and CPU time of the first sweep, which connects, and medians of the later ones; bytes of memory
    beyond those of the process before it had checks."""

    first: float
    wall: float
    cpu: float
    memory: int


@contextmanager
def slow_server() -> Iterator[int]:
    """The port of the server, in a process of its own."""
    command = [sys.executable, "-m", "benches.scale.server", str(DELAY)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate("", timeout=20)


def measure(port: int, count: int, sweeps: int) -> Sweeps:
    """What so many checks take, in a process of their own."""
    command = [sys.executable, "-m", __name__, str(port), str(count), str(sweeps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Sweeps(**json.loads(done.stdout))


def raise_limit() -> None:
    """Of descriptors, which `ulimit -n` leaves at 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(port: int, count: int, times: int) -> None:
    raise_limit()
    before = sockets.resident(os.getpid())
    engine = lifesigns.Engine()
    for index in range(count):
        address = f"127.1.{index // 250}.{index % 250 + 1}"
        engine.register(f"check_{index}", specs.Http(url=f"http://{address}:{port}/"))
    walls, cpus = [], []
    for _ in range(times + 1):
        began, cpu = time.perf_counter(), time.process_time()
        report = engine.run(refresh=True)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
        if report["summary"]["healthy"] != count:
            raise SystemExit(f"not all is healthy: {report['summary']}")
        time.sleep(PAUSE)
    memory = sockets.resident(os.getpid()) - before
    print(json.dumps(Sweeps(walls[0], median(walls[1:]), median(cpus[1:]), memory)._asdict()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
