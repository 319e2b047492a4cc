"""What several workers of a host cost their dependencies and the CPU, each for itself and sharing (`host`)."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

from benches.comparison.ground import APPS, PROJECT_APPS, Ground
from tests.services import workspace

COUNTS = (1, 2, 4, 8)
SHARES = ("process", "host")


class Load(NamedTuple):
    """A minute's: statements of PostgreSQL, commands of Redis and requests of the APIs; CPU seconds of all workers."""

    queries: float
    cpu: float


def loads(ground: Ground, counts: tuple[int, ...], seconds: float) -> dict[str, dict[int, Load]]:
    """By what is shared, then by the number of workers."""
    return {share: {count: load(ground, share, count, seconds) for count in counts} for share in SHARES}


def load(ground: Ground, share: str, count: int, seconds: float) -> Load:
    store = workspace.new_directory("store")
    command = [sys.executable, "-m", "benches.comparison.worker", share, str(store), str(seconds)]
    settings = {**ground.settings(), "INSTALLED_APPS": [*PROJECT_APPS, *APPS["lifesigns"]]}
    environment = ground.environment(settings)
    workers = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    before = queries(ground)
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    cpu = sum(float(worker.communicate()[0]) for worker in workers)
    return Load(60 * (queries(ground) - before) / seconds, 60 * cpu / seconds)


def queries(ground: Ground) -> int:
    """How many all servers have answered so far."""
    stack = ground.stack
    statements = int(stack.postgres.sql("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"))
    stats = stack.redis.command("INFO", "stats").splitlines()
    commands = int(dict(line.split(":") for line in stats if ":" in line)["total_commands_processed"])
    return statements + commands + sum(stack.http.requests().values())
