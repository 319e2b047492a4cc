"""What the tests of actions have in common: an action that notes its runs in a file, and processes that share it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.process.host import Worker
from tests.services import wait_until

# The check runs several times a second.
ROUNDS: dict[str, Any] = {"default_ttl": 0.3, "application": "shop"}
NOTE = """
import os, sys
with open(sys.argv[1] + "/acted", "a") as file:
    file.write("x")
if sys.argv[2] == "heals":
    os.unlink(sys.argv[1] + "/broken")
"""


def actions_of(directory: Path, *, heals: bool = False, **entry: Any) -> dict[str, Any]:
    """An action `note` about the check `counted` that appends to the file `acted`; it mends the check if it `heals`."""
    argv = [sys.executable, "-S", "-c", NOTE, str(directory), "heals" if heals else "not"]
    when = {"check": "counted", "runs": 2, "seconds": 0}
    base = {"action": "run_command", "arguments": {"argv": argv}, "when": when, "limit": {"per_hour": 5}}
    return {"note": {**base, "cooldown": 0, "verify": 1, "dry_run": False, **entry}}


def acted(directory: Path) -> int:
    """How often it has acted, in all processes."""
    path = directory / "acted"
    return len(path.read_text()) if path.exists() else 0


def break_down(directory: Path) -> None:
    (directory / "broken").touch()


def repair(directory: Path) -> None:
    (directory / "broken").unlink(missing_ok=True)


def started(workers: list[Worker]) -> None:
    """Return when each of them has seen its critical checks pass, and runs by itself."""
    for worker in workers:
        worker.evaluate("engine.start_background()")
    passed = "[lifesigns.beat('worker'), engine.has_started(engine.run()['status'] == 'healthy')][1]"
    for worker in workers:
        wait_until(lambda worker=worker: worker.evaluate(passed), 60)  # type: ignore[misc]


def log(worker: Worker) -> list[str]:
    """What its actions did: name and state of each entry."""
    return [f"{entry['name']} {entry['state']}" for entry in worker.evaluate("engine.action_log()")]


def noted(worker: Worker, check: str) -> list[str]:
    """What its incident of a check says of actions."""
    timelines = [one["timeline"] for one in worker.evaluate("engine.incidents()") if one["check"] == check]
    return [entry["text"] for entry in timelines[0] if entry["kind"] == "action"] if timelines else []
