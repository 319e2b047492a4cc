"""What waits to be written: bounded, oldest dropped first."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_lifesigns.history.log_row import LogRow

logger = logging.getLogger("django_lifesigns")

# About 10 MB of usual results.
CAPACITY = 10_000


@dataclass(slots=True)
class PendingRow:
    """A row, and whether it is still to be kept itself and to be counted."""

    row: LogRow
    log: bool
    availability: bool


class Buffer:
    """Put into by any thread, taken from by one. What was taken still counts until what is left of it is put back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[PendingRow] = deque()
        self._taken = 0
        self.dropped = 0

    def __len__(self) -> int:
        # What is being put back is in neither for a moment: a caller that saw that would take it for written.
        with self._lock:
            return len(self._queue) + self._taken

    def put(self, rows: Iterable[PendingRow]) -> None:
        """Add the newest."""
        with self._lock:
            self._queue.extend(rows)
        self._keep_within_capacity()

    def requeue(self, rows: Iterable[PendingRow]) -> None:
        """Return what is left of what `take` gave: nothing, if it was written."""
        with self._lock:
            self._taken = 0
            self._queue.extendleft(reversed(list(rows)))
        self._keep_within_capacity()

    def take(self, at_most: int) -> deque[PendingRow]:
        """Remove and return the oldest."""
        with self._lock:
            self._taken = min(at_most, len(self._queue))
            return deque(self._queue.popleft() for _ in range(self._taken))

    def _keep_within_capacity(self) -> None:
        with self._lock:
            excess = max(0, len(self._queue) - CAPACITY)
            for _ in range(excess):
                self._queue.popleft()
            before, self.dropped = self.dropped, self.dropped + excess
        # Once, and again whenever as many as fit are gone: an outage of days must not fill the log.
        if excess and (not before or before // CAPACITY != self.dropped // CAPACITY):
            logger.warning("history: the buffer is full, %d results dropped until now", self.dropped)
