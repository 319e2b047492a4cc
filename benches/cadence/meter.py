"""What a pod and the servers that it asks have taken so far: CPU, system calls, connections, queries, memory."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from benches.comparison.ground import Ground
from benches.comparison.sweeps import TICKS, server_seconds
from tests.faults import sockets
from tests.services.processes import tree

if TYPE_CHECKING:
    from typing_extensions import Self

# What the interpreter's monitor and the heartbeat of a process take, in every worker.
PULSE = frozenset(["lifesigns-monit", "lifesigns-pulse"])
ATTACHING_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """CPU seconds, of the pod's processes and of its servers; statements of PostgreSQL, commands of Redis, requests of
    the HTTP APIs; sessions of PostgreSQL and connections of Redis that were opened."""

    cpu: float
    servers: float
    statements: float
    commands: float
    requests: float
    sessions: float
    redis_connections: float

    def __sub__(self, other: Self) -> Reading:
        return self._with(lambda name: getattr(self, name) - getattr(other, name))

    def __mul__(self, factor: float) -> Reading:
        return self._with(lambda name: getattr(self, name) * factor)

    def _with(self, value: object) -> Reading:
        assert callable(value)
        return Reading(**{field.name: value(field.name) for field in fields(self)})


def read(pid: int, ground: Ground) -> Reading:
    """Of a process with its children, and of the services that it uses."""
    stack = ground.stack
    lines = stack.redis.command("INFO", "stats").splitlines()
    redis = dict(line.split(":") for line in lines if ":" in line)
    statements, sessions = stack.postgres.sql(
        "SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements), sum(sessions) FROM pg_stat_database"
    ).split("|")
    return Reading(
        cpu=cpu_seconds(pid),
        servers=server_seconds(stack.services),
        statements=float(statements),
        commands=float(redis["total_commands_processed"]),
        requests=float(sum(stack.http.requests().values())),
        sessions=float(sessions),
        redis_connections=float(redis["total_connections_received"]),
    )


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children so far, with those that have ended."""
    ticks = 0
    for each in tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / TICKS


def resident(pid: int) -> list[int]:
    """Bytes of memory of each child of a process."""
    return [sockets.resident(child) for child in tree(pid) if child != pid]


def system_calls(pids: Sequence[int], seconds: float) -> Counter[str]:
    """How many the processes make in so many seconds, by the name of the thread; slows them down meanwhile.

    Those of the first second are not counted: `strace` ends all waits as it attaches, and has each thread wait again.
    """
    threads: Counter[str] = Counter()
    attached = [argument for pid in pids for argument in ("-p", str(pid))]
    duration = f"{ATTACHING_SECONDS + seconds}"
    command = ["timeout", "--signal=INT", duration, "strace", "-f", "-qq", "-Y", "-ttt", *attached]
    # Lines as `[pid 4711<lifesigns>] 1764500000.123456 pread64(...) = 64`; the second half of one that was interrupted
    # is no call.
    output = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False).stderr
    calls = re.findall(r"^\[pid +\d+<(.*?)>\] ([\d.]+) (?!<\.\.\.|\+\+\+|---)", output, re.MULTILINE)
    counted_from = min((float(at) for _, at in calls), default=0.0) + ATTACHING_SECONDS
    threads.update(name for name, at in calls if float(at) >= counted_from)
    return threads
