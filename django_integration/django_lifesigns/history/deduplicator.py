"""Which results were not recorded yet: sweeps that shared a run all bring its result."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime

# More sweeps than these are never on their way to the recorder with results of one check.
REMEMBERED = 16


class Deduplicator:
    """The latest results of each check, by when they were found. Used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, deque[datetime]] = {}

    def add(self, name: str, at: datetime, *, only_newer: bool = False) -> bool:
        """Return whether this result comes for the first time; with `only_newer`, after all that came before, too."""
        with self._lock:
            latest = self._latest.setdefault(name, deque(maxlen=REMEMBERED))
            if at in latest or (only_newer and latest and at < max(latest)):
                return False
            latest.append(at)
            return True
