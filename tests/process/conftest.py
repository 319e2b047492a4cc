"""Fixtures of the tests of host scope."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.host import Start, Worker


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    workers: list[Worker] = []

    def start(**options: Any) -> Worker:
        workers.append(Worker(directory, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def mounted(directory: Path) -> Iterator[Callable[[str], None]]:
    """Mounts a tmpfs with these options on `store`."""
    target = directory / "store"

    def mount(options: str) -> None:
        target.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", str(target)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("cannot mount a file system here")

    yield mount
    subprocess.run(["umount", "--lazy", str(target)], capture_output=True)
