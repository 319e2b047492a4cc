"""How long runs took, as counts in buckets of equal ratio: percentiles of millions within 3 %, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter

# Buckets for each factor of e: each is 5 % wider than the one before.
RESOLUTION = 20.0
# What is shorter counts as this long: logarithms know no 0.
SHORTEST_MS = 0.01


class Durations:
    """Milliseconds, by `floor(ln(duration) * RESOLUTION)`."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.longest: float = 0.0

    def add(self, bucket: int, count: int, longest: float) -> None:
        """Adds so many durations of a bucket, none longer than `longest`."""
        self._buckets[bucket] += count
        self.longest = max(self.longest, longest)

    def percentile(self, percent: float) -> float | None:
        """The duration that so many percent do not exceed; None without any."""
        wanted = math.ceil(self._buckets.total() * percent / 100)
        seen = 0
        for bucket, count in sorted(self._buckets.items()):
            seen += count
            if seen >= max(1, wanted):
                middle = math.exp((bucket + 0.5) / RESOLUTION)
                return min(middle, self.longest)
        return None
