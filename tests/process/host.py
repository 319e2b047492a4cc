"""Several real processes that share a store, for the tests of host scope."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lifesigns import _core

ROOT = Path(__file__).resolve().parents[2]

where_shared = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no host scope there")
on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="locks of a process, where it may open the file only once"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Worker:
    """A process that answers expressions (see `host_worker`)."""

    module = "tests.process.host_worker"

    def __init__(self, directory: Path, *, prefix: tuple[str, ...] = (), **options: Any) -> None:
        arguments = ["-m", self.module, str(directory), json.dumps(options)]
        command = [*prefix, sys.executable, "-W", "error", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def send(self, expression: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def evaluate(self, expression: str) -> Any:
        self.send(expression)
        return self.receive()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


Start = Callable[..., Worker]


def runs(directory: Path) -> list[str]:
    path = directory / "runs"
    return path.read_text().split() if path.exists() else []


def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def evaluate_all(workers: list[Worker], expression: str) -> list[Any]:
    """What all of them answer at the same time."""
    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(lambda worker: worker.evaluate(expression), workers))


def store(directory: Path) -> Path:
    (path,) = (directory / "store").glob(f"*{_core.STORE_SUFFIX}")
    return path


def not_shared(worker: Worker, reason: str) -> None:
    """It works in process scope, and says why."""
    assert worker.evaluate("engine.check('counted')")["status"] == "healthy"
    (line,) = worker.evaluate("lines")
    assert reason in line
    assert "each process checks for itself" in line
    assert worker.evaluate("engine.check('counted')")["cached"] is True
    worker.evaluate("engine.breaker('guarded').force_open()")
    assert worker.evaluate("engine.check('guarded')")["error_type"] == "CircuitOpenError"
    assert len([line for line in worker.evaluate("lines") if "each process checks for itself" in line]) == 1
