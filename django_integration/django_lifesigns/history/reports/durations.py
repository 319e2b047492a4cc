"""Percentiles of durations, from counts in buckets of equal ratio: one method for reports and `/health/detailed/`.

A percentile is that by nearest rank: the least duration that so many percent of the runs do not exceed. It is estimated
within its bucket, between the shortest and the longest duration there: exact where that are at most two, and less than
5.2% (`exp(1 / RESOLUTION)`) off in any case. So millions of runs take bounded memory, and parts of a time add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from django.db.models import F, Q, Value
from django.db.models.functions import Floor, Greatest, Ln

# Buckets for each factor of e: each is 5% wider than the one before.
RESOLUTION = 20.0
# What is shorter counts as this long: logarithms know no 0.
SHORTEST_MS = 0.01
# Rows whose duration no run can have had are left out: an adopted table, or SQLite, may hold anything there.
LONGEST_MS = 1e9
PLAUSIBLE = Q(duration_ms__gte=0, duration_ms__lt=LONGEST_MS)


def bucket_of_row() -> Floor:
    """Return the expression by which the database groups rows of `HealthCheckLog`."""
    return Floor(Ln(Greatest(F("duration_ms"), Value(SHORTEST_MS))) * Value(RESOLUTION))


@dataclass(slots=True)
class Bucket:
    """Durations that are less than 5.2% apart."""

    count: int = 0
    shortest: float = math.inf
    longest: float = 0.0


class Durations:
    """Milliseconds, by `floor(ln(duration) * RESOLUTION)`."""

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket] = {}

    def add(self, number: int, count: int, shortest: float, longest: float) -> None:
        """Add so many durations of the bucket of this number."""
        bucket = self._buckets.setdefault(number, Bucket())
        bucket.count += count
        bucket.shortest = min(bucket.shortest, shortest)
        bucket.longest = max(bucket.longest, longest)

    @property
    def longest(self) -> float:
        """The longest of all; 0 without any."""
        return max((bucket.longest for bucket in self._buckets.values()), default=0.0)

    def percentile(self, percent: float) -> float | None:
        """Return the duration that so many percent do not exceed; None without any."""
        total = sum(bucket.count for bucket in self._buckets.values())
        # As a fraction: floats would make 95% of 20 a little more than 19, which is the next rank.
        left = max(1, math.ceil(Fraction(str(percent)) * total / 100))
        for _, bucket in sorted(self._buckets.items()):
            if left <= bucket.count:
                share = (left - 1) / (bucket.count - 1) if bucket.count > 1 else 1.0
                return bucket.shortest + share * (bucket.longest - bucket.shortest)
            left -= bucket.count
        return None
