"""The tasks of the projects: copied into the folder of each, and imported by its workers."""

from __future__ import annotations

import os
import time
from pathlib import Path


def add(a: int = 1, b: int = 2) -> int:
    return a + b


def fail() -> None:
    raise ValueError("on purpose")


def hang() -> None:
    Path(os.environ["QUEUE_TASKS_HANGING"]).touch()
    time.sleep(600)
