"""A check whose misbehaviour is chosen in a file while the process that runs it continues."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HANG_SECONDS = 600
GIL_SECONDS = 5

_obeyed: list[str] = []  # the orders to hold the GIL that were carried out: once each, or nothing could be measured


def check() -> Any:
    """Healthy, unless the file named by `FAULTS_CALLABLE` says how else."""
    order = _order()
    return MISBEHAVIOURS[order.split()[0]](order) if order else True


def _order() -> str:
    return Path(os.environ["FAULTS_CALLABLE"]).read_text()


def _sleeps(order: str) -> None:
    """For 600 s, or until called off, so that healing can be seen: one thread that hangs either way."""
    end = time.monotonic() + HANG_SECONDS
    while _order() == order and time.monotonic() < end:
        time.sleep(0.05)


def _loops(order: str) -> None:
    while _order() == order:
        for _ in range(1_000_000):
            pass


def _holds_gil(order: str) -> None:
    if order not in _obeyed:
        _obeyed.append(order)
        ctypes.PyDLL(None).sleep(GIL_SECONDS)  # PyDLL, unlike CDLL, keeps the GIL


def _raises(_: str) -> None:
    raise RuntimeError("password=not-to-be-shown")


def _exits(_: str) -> None:
    sys.exit(3)


def _recurses(order: str) -> None:
    _recurses(order)


def _returns_100_mb(_: str) -> dict[str, Any]:
    # In halves: pieces of less than 32 MB the C library may keep for later, which would look like a leak.
    return {"status": "healthy", "details": dict.fromkeys(("one", "other"), "x" * 50000000)}


MISBEHAVIOURS: dict[str, Callable[[str], Any]] = {
    "sleeps": _sleeps,
    "loops": _loops,
    "holds_gil": _holds_gil,
    "raises": _raises,
    "exits": _exits,
    "recurses": _recurses,
    "returns_100_mb": _returns_100_mb,
}
