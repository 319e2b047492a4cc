"""A check that says which process has run it."""

from __future__ import annotations

import os


def pid() -> dict[str, object]:
    """Always healthy."""
    return {"status": "healthy", "details": {"pid": os.getpid()}}
