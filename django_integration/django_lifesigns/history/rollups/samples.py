"""What this process has seen of the engine's totals and not rolled up yet."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from lifesigns.results import CheckCounters

# By check, parents first.
Sample = Mapping[str, CheckCounters]

# Closer ones say nothing more about a minute.
APART_SECONDS = 10.0
# Of all samples together, by how many checks they are of: about 3 MB.
MOST_COUNTERS = 2_000
FEWEST = 4


class Samples:
    """The latest samples, oldest first: while the database is gone they wait, and become coarser. Of any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Add the newest, in place of the one before where that is very close."""
        if not sample:
            return
        with self._lock:
            if len(self._samples) > 1 and _at(sample) - _at(self._samples[-2]) < APART_SECONDS:
                self._samples.pop()
            self._samples.append(sample)
            if len(self._samples) > max(FEWEST, MOST_COUNTERS // len(sample)):
                del self._samples[1:-1:2]

    def all(self) -> list[Sample]:
        """Return them, oldest first."""
        with self._lock:
            return list(self._samples)

    def drop(self, samples: list[Sample]) -> None:
        """Forget those that have been rolled up."""
        done = {id(sample) for sample in samples}
        with self._lock:
            self._samples = [sample for sample in self._samples if id(sample) not in done]


def _at(sample: Sample) -> float:
    return next(iter(sample.values()))["at"]
