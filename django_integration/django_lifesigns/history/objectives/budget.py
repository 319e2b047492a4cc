"""The arithmetic of objectives, as in the SRE workbook's chapter on alerting, with time in place of events: pure.

    burn(W) = bad share of the known time in W / (1 - target)
    budget = (1 - target) * P                      budget left = 1 - bad time in P / budget
    a pair fires <=> burn(long) > F and burn(short) > F, where F = share * P / long
    exhausted in = budget left * P / burn(1 h)

https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from django_lifesigns.history.objectives.targets import Target

# A pair fires with so much bad time in its long window, or with so many stretches of it, and not with less: two bad
# results in an hour are burn rate 16.7 at 99.9%, and page no one.
LEAST_BAD_SECONDS = 120.0
LEAST_STRETCHES = 3
# With a lower factor the budget lasts for the period: nothing to be woken up for. That of 3 days in 28 is 0.93.
LEAST_FACTOR = 0.9
# Of a window; of one of which less is known there is no pace, and no alarm: the first minutes are not three days.
LEAST_COVERAGE = 0.5
# Of the budget: how much it is overspent beyond that is said in time.
LEAST_REMAINING = -1.0
# The pace at which the rest is spent.
PACE = "1h"


@dataclass(frozen=True, slots=True)
class Pair:
    """Fires when this share of the budget is spent within the long window, and still being spent in the short one."""

    long: str
    short: str
    share: float
    severity: str

    def factor(self, days: float) -> float:
        """Return how many times the sustainable pace that is, of a budget for so many days."""
        return self.share * days * 86_400 / WINDOWS[self.long]

    @property
    def name(self) -> str:
        return f"{self.long}/{self.short}"


WINDOWS = {"5m": 300, "30m": 1_800, "1h": 3_600, "2h": 7_200, "6h": 21_600, "1d": 86_400, "3d": 259_200}
PAIRS = (
    Pair("1h", "5m", 0.02, "page"),
    Pair("6h", "30m", 0.05, "page"),
    Pair("1d", "2h", 0.10, "ticket"),
    Pair("3d", "6h", 0.10, "ticket"),
)


def pairs_of(target: Target) -> tuple[Pair, ...]:
    """Return the pairs that are alarms for a period of this length."""
    return tuple(pair for pair in PAIRS if pair.factor(target.days) >= LEAST_FACTOR)


class Spent(NamedTuple):
    """The known time in a window, in seconds of all sources together, and how often it became bad."""

    length: float
    good: float
    bad: float
    stretches: float = 0.0
    # How many counted at a time, in the mean.
    sources: float = 1.0

    @property
    def known(self) -> float:
        return self.good + self.bad

    @property
    def bad_share(self) -> float | None:
        """The mean over the sources; None if nothing is known."""
        return self.bad / self.known if self.known > 0 else None

    @property
    def known_seconds(self) -> float:
        """The time of which something is known: what several sources know of one second is one second."""
        return min((self.good + self.bad) / self.sources, self.length)

    @property
    def bad_seconds(self) -> float:
        """The bad time in the mean over the sources."""
        return self.bad / self.known * self.known_seconds if self.bad else 0.0

    @property
    def coverage(self) -> float:
        """The share of the window of which something is known."""
        return self.known_seconds / self.length if self.length > 0 else 0.0

    @property
    def is_enough(self) -> bool:
        """Whether there was enough of it for an alarm."""
        stretches = self.stretches * self.known_seconds / self.known if self.known > 0 else 0.0
        return self.bad_seconds >= LEAST_BAD_SECONDS or stretches > LEAST_STRETCHES - 0.5


@dataclass(frozen=True)
class Budget:
    """What is known of one objective. Without slots: what is worked out of it is kept beside it."""

    target: Target
    period: Spent
    windows: Mapping[str, Spent]

    @property
    def availability(self) -> float | None:
        """The good share of the known time of the period."""
        share = self.period.bad_share
        return None if share is None else 1 - share

    @cached_property
    def spent_share(self) -> float:
        """The share of the budget that is spent: more than 1 once it is overspent."""
        return self.period.bad_seconds / self.seconds

    @cached_property
    def remaining(self) -> float | None:
        """The share of the budget that is left, None if nothing is known.

        Below 0 once it is overspent, and not below -1: then it was spent twice, or more.
        """
        return max(LEAST_REMAINING, 1 - self.spent_share) if self.period.known > 0 else None

    @property
    def seconds(self) -> float:
        """The budget: the bad time that the whole period allows."""
        return self.target.budget * self.target.seconds

    def burn(self, window: str) -> float | None:
        """Return the pace in a window: 1 spends the budget within the period; None if most of it is unknown."""
        spent = self.windows.get(window)
        if spent is None or spent.bad_share is None or spent.coverage < LEAST_COVERAGE:
            return None
        return spent.bad_share / self.target.budget

    def fires(self, pair: Pair) -> bool:
        """Return whether a pair fires."""
        spent = self.windows.get(pair.long)
        if spent is None or not spent.bad:
            return False
        factor = pair.factor(self.target.days)
        burns = [self.burn(window) or 0.0 for window in (pair.long, pair.short)]
        # At exactly the factor nothing fires, whatever rounding makes of it.
        return min(burns) > factor * (1 + 1e-9) and spent.is_enough

    @cached_property
    def firing(self) -> tuple[Pair, ...]:
        """The pairs that fire."""
        return tuple(pair for pair in pairs_of(self.target) if self.fires(pair))

    @cached_property
    def exhausted_in(self) -> float | None:
        """The seconds until nothing is left at the pace of the last hour: 0 if nothing is, None if none is spent."""
        if self.remaining is None:
            return None
        if self.remaining <= 0:
            return 0.0
        pace = self.burn(PACE)
        return self.remaining * self.target.seconds / pace if pace else None
