"""The last 90 days of each check, from the roll-ups of days, in one query.

Most days of most checks are plainly healthy: the database adds those up to one row for each check, which names them by
the bits of two numbers. So 1,000 checks take some thousand rows, not 90,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from django.db import router
from django.db.models import F, FloatField, Q, Sum, Value
from django.db.models.functions import Cast, Power
from django.utils.safestring import SafeString

from django_lifesigns.dashboard.shapes import StripEntry
from django_lifesigns.history.rollups.figures import COVERED, SECONDS, STATUSES, sources
from django_lifesigns.history.rollups.periods import DAY
from django_lifesigns.history.rollups.reading import MOST_NAMES, quick_plans, raw_rows

DAYS = 90
# The states of a day from the worst, and their letters; without any of these nothing is known of it.
STATES = {"error": "e", "degraded": "d", "maintenance": "m", "blocked": "b", "healthy": "h"}
UNKNOWN = "-"
# So many bits are exact in a float.
BITS = 45
# In place of the start of the days that are added up.
PLAIN = 0
# The days of which more is to be said than that they were healthy.
NOTABLE = Q(healthy__lte=0) | reduce(or_, (Q(**{f"{name}__gt": 0}) for name in SECONDS if name != "healthy"))
FIGURES = (*SECONDS, COVERED)


@dataclass(slots=True)
class Strip:
    """The days of one check, today last: the letter of each, and the seconds of those that are not plainly healthy.

    Those of days are the mean over the hosts that have counted them, `total` is of all hosts together. `entry` and
    `drawing` are what is shown of it, once that has been made: the same for all pages that one reading serves.
    """

    first: int
    states: list[str] = field(default_factory=lambda: [UNKNOWN] * DAYS)
    days: dict[int, Mapping[str, float]] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=lambda: dict.fromkeys(FIGURES, 0.0))
    entry: StripEntry | None = field(default=None, compare=False)
    drawing: SafeString | None = field(default=None, compare=False)

    def date_of(self, number: int) -> date:
        """Return the date of a day, in UTC."""
        return _dates(self.first)[number]

    def seconds(self, number: int, name: str) -> float:
        """Return the seconds that one day spent so."""
        figures = self.days.get(number)
        return figures[name] if figures else 0.0


@lru_cache(4)
def _dates(first: int) -> list[date]:
    return [datetime.fromtimestamp(first + number * DAY.seconds, timezone.utc).date() for number in range(DAYS)]


def first_day(now: float) -> int:
    """Return the start of the first of the last days, of which today is the last."""
    return DAY.start(now) - (DAYS - 1) * DAY.seconds


def read_strips(now: float, check: str | None = None, count: int = 1) -> dict[str, Strip]:
    """Return the days of each check, of which there are `count`, or of one: one query."""
    from django_lifesigns.models import Rollup

    first = first_day(now)
    rows = Rollup.objects.filter(period=DAY.name, start__gte=first, start__lte=DAY.start(now)).order_by()
    if check is not None:
        rows = rows.filter(check_name=check)
    zero = Value(0.0, FloatField())
    plain = rows.exclude(NOTABLE).values_list("check_name").annotate(day=Value(PLAIN), **_sums(first))
    notable = rows.filter(NOTABLE).values_list("check_name", "start", *FIGURES, zero, zero)
    with quick_plans(router.db_for_read(Rollup), is_needed=count > MOST_NAMES):
        found = raw_rows(plain.union(notable, all=True))
    strips: dict[str, Strip] = {}
    # The same of most checks.
    states_of: dict[tuple[float, float], list[str]] = {}
    for name, day, *sums, early, late in found:
        strip = strips.get(name) or strips.setdefault(name, Strip(first))
        figures = dict(zip(FIGURES, sums, strict=True))
        for key, seconds in figures.items():
            strip.total[key] += seconds
        if day == PLAIN:
            if (early, late) not in states_of:
                states_of[early, late] = _states(early, late)
            bad = {number: strip.states[number] for number in strip.days}
            strip.states = states_of[early, late].copy()
            for number, letter in bad.items():
                strip.states[number] = letter
        elif (letter := state_of(figures)) != UNKNOWN:
            number = (day - first) // DAY.seconds
            strip.states[number] = letter
            hosts = sources(figures, DAY.seconds)
            strip.days[number] = {key: seconds / hosts for key, seconds in figures.items()}
    return strips


def state_of(figures: Mapping[str, float]) -> str:
    """Return the letter of the worst state that a day was in."""
    return next((letter for name, letter in STATES.items() if figures[name] > 0), UNKNOWN)


def _sums(first: int) -> dict[str, Any]:
    # A float from the start: PostgreSQL would take a hundred times as long for the powers of its decimals.
    number: Any = Cast(F("start") - Value(first), FloatField()) / Value(float(DAY.seconds))
    middle = first + BITS * DAY.seconds
    sums: dict[str, Any] = {f"sum_{name}": Sum(name) for name in FIGURES}
    early = Sum(Power(Value(2.0), number), filter=Q(start__lt=middle))
    late = Sum(Power(Value(2.0), number - Value(float(BITS))), filter=Q(start__gte=middle))
    return {**sums, "early": early, "late": late}


def _states(early: float | None, late: float | None) -> list[str]:
    """Return the letters of the days whose bits are set, which were healthy."""
    bits = round(early or 0) | round(late or 0) << BITS
    return [STATES["healthy"] if bits >> number & 1 else UNKNOWN for number in range(DAYS)]


def availability(strip: Strip) -> float | None:
    """Return the share of the known time that was not in error; degraded is available."""
    known = sum(strip.total[name] for name in STATUSES)
    return 1 - strip.total["error"] / known if known else None


def coverage(strip: Strip, now: float) -> float:
    """Return the share of the time of which something is known, or that was planned maintenance or blocked."""
    return min(1.0, strip.total[COVERED] / (now - strip.first))
