"""How long this process has been there: since Django was set up in it, or it was forked from one where it was."""

from __future__ import annotations

import os
import time

_started = {"at": time.monotonic()}


def uptime() -> float:
    """Return seconds."""
    return time.monotonic() - _started["at"]


def _restart() -> None:
    _started["at"] = time.monotonic()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart)
