"""Which results were not recorded yet: sweeps that shared a run all bring its result."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

RECORDED = frozenset(["healthy", "degraded", "error"])
# Errors that took no run to find come with every sweep: they are kept no more often than a run's would be.
NOT_RUN = frozenset(["CircuitOpenError", "DependencyError", "StillRunningError", "WithdrawnError"])
REPEATED = timedelta(seconds=30)
# More sweeps than these are never on their way to the recorder with results of one check.
REMEMBERED = 16


def is_of_a_run(result: Mapping[str, Any]) -> bool:
    """Whether a result is neither missing yet nor that of a check without a target. One that was found before anybody
    asked, such as in the background, may be new to the history."""
    return result["status"] in RECORDED and not result.get("pending")


class Deduplicator:
    """The latest results of each check, by when they were found. Used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, deque[datetime]] = {}

    def add(self, name: str, at: datetime, error_type: str | None) -> bool:
        """Whether this result comes for the first time."""
        with self._lock:
            latest = self._latest.setdefault(name, deque(maxlen=REMEMBERED))
            if at in latest or (error_type in NOT_RUN and latest and abs(at - latest[-1]) < REPEATED):
                return False
            latest.append(at)
            return True
