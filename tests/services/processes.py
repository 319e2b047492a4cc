"""Signals whole process trees, found by parent in /proc, whatever session or group their members moved to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.01
MOST_POLL_SECONDS = 0.05


def wait_until(
    predicate: Callable[[], object], timeout: float = 60.0, message: str | Callable[[], str] = "condition not met"
) -> None:
    """Poll until `predicate()` is true; TimeoutError with `message`, or what it returns then, after `timeout` seconds.

    The pauses grow with the time waited, and are as long as a predicate takes that makes requests or runs a program:
    what is waited for needs the processors, too.
    """
    start = time.monotonic()
    while True:
        called = time.monotonic()
        if predicate():
            return
        now = time.monotonic()
        if now - start > timeout:
            text = message if isinstance(message, str) else message()
            raise TimeoutError(f"{text} (waited {timeout:g} s)")
        time.sleep(max(POLL_SECONDS, min((now - start) / 20, MOST_POLL_SECONDS), min(now - called, 1.0)))


def tree(root: int) -> list[int]:
    """Pids of the live process `root` and of its live descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))) is not None:
            children.setdefault(stat[1], []).append(int(entry))
    found = [root] if alive(root) else []
    for pid in found:
        found += [child for child in children.get(pid, []) if alive(child)]
    return found


def alive(pid: int) -> bool:
    """Whether the process runs or is stopped; a zombie is dead."""
    return (stat := _stat(pid)) is not None and stat[0] not in "ZX"


def suspend(root: int) -> list[int]:
    """Stop the tree and return its pids, once none of them runs any more."""
    stopped = _signal(root, signal.SIGSTOP)
    wait_until(lambda: all(_stopped(pid) for pid in stopped), message="processes do not stop")
    return stopped


def resume(root: int) -> list[int]:
    """Let the tree run on, and return its pids."""
    return _signal(root, signal.SIGCONT)


def kill(root: int) -> list[int]:
    """SIGKILL to the tree; stopped first, so that nothing is forked out of sight meanwhile."""
    pids = _signal(root, signal.SIGSTOP)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_gone(pids)
    return pids


def wait_gone(pids: Iterable[int], timeout: float = 10.0) -> None:
    """Return when all are dead; TimeoutError naming those that are not."""
    remaining = set(pids)
    deadline = time.monotonic() + timeout
    while remaining := {pid for pid in remaining if alive(pid)}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"still alive: {sorted(remaining)}")
        time.sleep(POLL_SECONDS)


def working_in(directory: Path) -> list[int]:
    """Pids of all live processes whose working directory is (or was, if removed) `directory` or below it."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and works_in(int(entry), directory)]


def works_in(pid: int, directory: Path) -> bool:
    """Whether the live process `pid` has its working directory in `directory` or below it."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(directory) and alive(pid)
    except OSError:  # it has just ended, or is somebody else's
        return False


def _signal(root: int, number: signal.Signals) -> list[int]:
    reached: list[int] = []
    while fresh := [pid for pid in tree(root) if pid not in reached]:
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        reached += fresh
    return reached


def _stopped(pid: int) -> bool:
    return (stat := _stat(pid)) is None or stat[0] not in "RSD"


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and parent's pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)
