"""How often a test of what goes wrong rarely tries: in `make test` a few times, in `make soak` as often as it takes."""

from __future__ import annotations

import os

WHOLE = os.environ.get("LIFESIGNS_LOOPS") == "whole"


def times(few: int, whole: int) -> int:
    """Return how often to try in this run."""
    return whole if WHOLE else few
