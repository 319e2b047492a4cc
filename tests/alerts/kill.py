"""Kill workers that share incidents at random instants (kill -9) while a check flips and receivers fail.

Run as a process of its own: forks the workers, flips the check, kills, and prints ``settled`` each time that the check
has stopped to flip; a line of input ends it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import lifesigns

WORKERS = 8
# How often the check flips, in seconds: it must not flap.
FLIP_EVERY = 1.2


def work(directory: Path, channel: dict[str, object]) -> None:
    """Run the check without end."""
    settings = {
        "CHANNELS": {"hook": channel},
        "FAILURES": 1,
        "SUCCESSES": 1,
        "RETRIES": [0.2],
        "TIMEOUT": 5,
    }
    shared: dict[str, Any] = {"share": "host", "application": "shop", "store_path": directory / "store"}
    engine = lifesigns.Engine(default_ttl=0.1, log=False, alerts=settings, **shared)
    engine.register("flips", lambda: not (directory / "broken").exists(), identity="flips")
    engine.start_background()
    while True:
        time.sleep(60)


def fork(directory: Path, channel: dict[str, object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work(directory, channel)
        finally:
            os._exit(1)
    return pid


def kill_at_random(directory: Path, channel: dict[str, object], kills: int, choice: random.Random) -> None:
    """Kill so many workers one after another, each replaced by a new one, and let the others continue."""
    broken = directory / "broken"
    alive = [fork(directory, channel) for _ in range(WORKERS)]
    try:
        flipped = time.monotonic()
        for _ in range(kills):
            time.sleep(choice.random() * 0.2)
            victim = alive.pop(choice.randrange(WORKERS))
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            alive.append(fork(directory, channel))
            if time.monotonic() - flipped > FLIP_EVERY:
                flipped = time.monotonic()
                broken.unlink() if broken.exists() else broken.touch()
        broken.unlink(missing_ok=True)
        print("settled", flush=True)
        sys.stdin.readline()
        broken.touch()
        print("settled", flush=True)
        sys.stdin.readline()
    finally:
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    seed = int(sys.argv[4])
    kill_at_random(Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), random.Random(seed))
