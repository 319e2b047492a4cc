"""When workers were last there: where they stop in order they remove their registration, in each deploy."""

from __future__ import annotations

import time
from collections.abc import Hashable

# By queue: when this process last saw a worker there, and how many there were.
_seen: dict[Hashable, tuple[float, int]] = {}


def signed_off(queue: Hashable, active: int, known: int, window_seconds: float) -> float | None:
    """Note that `active` workers are there now and, if there is none, how many entries of dead ones are `known`.

    Return how many seconds ago the last worker was there, if there is none now, entries are gone, and that was within
    the window. None otherwise: a worker whose entry is still there has died.
    """
    if active:
        _seen[queue] = (time.monotonic(), active)
        return None
    at, workers = _seen.get(queue, (0.0, 0))
    if known >= workers:
        # They died: that their entries are removed later on is no sign of life.
        _seen.pop(queue, None)
        return None
    ago = time.monotonic() - at
    return ago if ago < window_seconds else None
