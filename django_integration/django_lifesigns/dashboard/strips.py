"""The last 90 days of each check, from the roll-ups of days, in one query.

Most days of most checks are plainly healthy: the database adds those up to one row for each check, which names them by
the bits of two numbers. So 1,000 checks take some thousand rows, not 90,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from django.db.models import BigIntegerField, Case, F, FloatField, Q, Sum, Value, When
from django.db.models.functions import Cast, Power

from django_lifesigns.history.rollups.figures import SECONDS, STATUSES
from django_lifesigns.history.rollups.periods import DAY

DAYS = 90
# The states of a day from the worst, and their letters; without any of these nothing is known of it.
STATES = {"error": "e", "degraded": "d", "maintenance": "m", "blocked": "b", "healthy": "h"}
UNKNOWN = "-"
# So many bits are exact in a float.
BITS = 45
# In place of the start of the days that are added up.
PLAIN = 0


@dataclass(slots=True)
class Strip:
    """The days of one check, today last: the letter of each, and the seconds of those that are not plainly healthy.

    Seconds are those of all hosts together.
    """

    first: int
    states: list[str] = field(default_factory=lambda: [UNKNOWN] * DAYS)
    days: dict[int, Mapping[str, float]] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SECONDS, 0.0))

    def date_of(self, number: int) -> date:
        """Return the date of a day, in UTC."""
        return datetime.fromtimestamp(self.first + number * DAY.seconds, timezone.utc).date()

    def seconds(self, number: int, name: str) -> float:
        """Return the seconds that one day spent so, in the mean over all hosts."""
        return mean_seconds(self.days.get(number, {}), name, DAY.seconds)


def mean_seconds(figures: Mapping[str, float], name: str, length: float) -> float:
    """Return the seconds spent so in the mean over the hosts that have counted, in a time of this length."""
    counted = sum(figures.values())
    return figures[name] * min(1.0, length / counted) if counted else 0.0


def first_day(now: float) -> int:
    """Return the start of the first of the last days, of which today is the last."""
    return DAY.start(now) - (DAYS - 1) * DAY.seconds


def read_strips(now: float, check: str | None = None) -> dict[str, Strip]:
    """Return the days of each check, or of one: one query."""
    from django_lifesigns.models import Rollup

    first = first_day(now)
    rows = Rollup.objects.filter(period=DAY.name, start__gte=first, start__lte=DAY.start(now)).order_by()
    if check is not None:
        rows = rows.filter(check_name=check)
    grouped = rows.annotate(day=_day()).values_list("check_name", "day").annotate(**_sums(first))
    strips: dict[str, Strip] = {}
    for name, day, *sums, early, late in grouped:
        strip = strips.setdefault(name, Strip(first))
        figures = dict(zip(SECONDS, sums, strict=True))
        for key, seconds in figures.items():
            strip.total[key] += seconds
        if day == PLAIN:
            for number in _numbers(early, late):
                strip.states[number] = STATES["healthy"]
        else:
            number = (day - first) // DAY.seconds
            strip.states[number] = state_of(figures)
            if strip.states[number] != UNKNOWN:
                strip.days[number] = figures
    return strips


def state_of(figures: Mapping[str, float]) -> str:
    """Return the letter of the worst state that a day was in."""
    return next((letter for name, letter in STATES.items() if figures[name] > 0), UNKNOWN)


def _day() -> Case:
    """Return the start of a day of which more is to be said than that it was healthy, else `PLAIN`."""
    is_notable = Q(healthy__lte=0)
    for name in SECONDS:
        if name != "healthy":
            is_notable |= Q(**{f"{name}__gt": 0})
    return Case(When(is_notable, then=F("start")), default=Value(PLAIN), output_field=BigIntegerField())


def _sums(first: int) -> dict[str, Any]:
    # A float from the start: PostgreSQL would take a hundred times as long for the powers of its decimals.
    number: Any = Cast(F("start") - Value(first), FloatField()) / Value(float(DAY.seconds))
    middle = first + BITS * DAY.seconds
    sums: dict[str, Any] = {f"sum_{name}": Sum(name) for name in SECONDS}
    early = Sum(Power(Value(2.0), number), filter=Q(start__lt=middle))
    late = Sum(Power(Value(2.0), number - Value(float(BITS))), filter=Q(start__gte=middle))
    return {**sums, "early": early, "late": late}


def _numbers(early: float | None, late: float | None) -> list[int]:
    bits = round(early or 0) | round(late or 0) << BITS
    return [number for number in range(DAYS) if bits >> number & 1]


def availability(strip: Strip) -> float | None:
    """Return the share of the known time that was not in error; degraded is available."""
    known = sum(strip.total[name] for name in STATUSES)
    return 1 - strip.total["error"] / known if known else None


def coverage(strip: Strip, now: float) -> float:
    """Return the share of the time of which something is known, or that was planned maintenance or blocked."""
    return min(1.0, sum(strip.total.values()) / (now - strip.first))
