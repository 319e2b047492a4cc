"""The last 90 days of each check, from the roll-ups of days, in one query.

Most days of most checks are plainly healthy: the database adds those up to one row for each check, which names them by
the bits of two numbers. So 1,000 checks take some thousand rows, not 90,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from django.db import router
from django.db.models import F, FloatField, Q, Sum, Value
from django.db.models.functions import Cast, Power
from django.utils.safestring import SafeString

from django_lifesigns.dashboard.shapes import StripEntry
from django_lifesigns.history.rollups.figures import COVERED, SECONDS, mean_sources
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
# The days of which more is to be said than whether they were healthy: PostgreSQL has an index of them.
NOTABLE = reduce(or_, (Q(**{f"{name}__gt": 0}) for name in SECONDS if name != "healthy"))
# All that plain days have, and what they have not, from the worst.
OF_PLAIN = ("healthy", COVERED)
NOT_PLAIN = tuple(state for state in STATES if state != "healthy")


@dataclass(slots=True)
class Strip:
    """The days of one check, today last: the letter of each, and the seconds of those that are not plainly healthy.

    `entry` and `drawing` are what is shown of it, once that has been made: the same for all pages that one reading
    serves.
    """

    first: int
    states: str = UNKNOWN * DAYS
    # By state and by the number of the day, in the mean over the hosts that have counted it. No object for each day:
    # the garbage collector would go through all those of a thousand checks.
    seconds: dict[str, dict[int, float]] = field(default_factory=dict)
    # Seconds of all days, of all hosts together: in which something was known of it, in error, and all.
    known: float = 0.0
    error: float = 0.0
    covered: float = 0.0
    entry: StripEntry | None = field(default=None, compare=False)
    drawing: SafeString | None = field(default=None, compare=False)

    @property
    def dates(self) -> list[str]:
        """The date of each day, in UTC."""
        return _dates(self.first)


@lru_cache(4)
def _dates(first: int) -> list[str]:
    starts = range(first, first + DAYS * DAY.seconds, DAY.seconds)
    return [datetime.fromtimestamp(start, timezone.utc).date().isoformat() for start in starts]


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
    nothing = {f"no_{name}": zero for name in NOT_PLAIN}
    plain = rows.exclude(NOTABLE).values_list("check_name").annotate(day=Value(PLAIN), **nothing, **_sums(first))
    notable = rows.filter(NOTABLE).values_list("check_name", "start", *NOT_PLAIN, *OF_PLAIN, zero, zero)
    # In two parts: one that grouped by the day, too, would be sorted first, which takes PostgreSQL longer than both.
    with quick_plans(router.db_for_read(Rollup), is_needed=count > MOST_NAMES):
        return _strips(raw_rows(plain.union(notable, all=True)), first)


def _strips(rows: Iterable[tuple[Any, ...]], first: int) -> dict[str, Strip]:
    """Return the strips of rows of (check, day or `PLAIN`, the seconds of each state, all, the bits of plain days)."""
    strips: dict[str, Strip] = {}
    plain: dict[str, str] = {}
    for name, at, error, degraded, maintenance, blocked, healthy, covered, early, late in rows:
        strip = strips.get(name)
        if strip is None:
            strip = strips[name] = Strip(first)
        strip.known += error + degraded + healthy
        strip.error += error
        strip.covered += covered
        if at == PLAIN:
            plain[name] = _states(early, late)
            continue
        hosts = mean_sources(error + degraded + maintenance + blocked + healthy, covered or DAY.seconds)
        for state, seconds in zip(NOT_PLAIN, (error, degraded, maintenance, blocked), strict=True):
            if seconds > 0:
                strip.seconds.setdefault(state, {})[(at - first) // DAY.seconds] = seconds / hosts
    for name, strip in strips.items():
        strip.states = _worst(plain.get(name, strip.states), strip.seconds)
    return strips


def _worst(states: str, seconds: Mapping[str, Iterable[int]]) -> str:
    """Return the letters of days with those of the worst state of each that was not plainly healthy."""
    letters = [*states]
    for state in reversed(NOT_PLAIN):
        for number in seconds.get(state, ()):
            letters[number] = STATES[state]
    return "".join(letters)


def _sums(first: int) -> dict[str, Any]:
    # A float from the start: PostgreSQL would take a hundred times as long for the powers of its decimals.
    number: Any = Cast(F("start") - Value(first), FloatField()) / Value(float(DAY.seconds))
    middle = first + BITS * DAY.seconds
    sums: dict[str, Any] = {f"sum_{name}": Sum(name) for name in OF_PLAIN}
    early = Sum(Power(Value(2.0), number), filter=Q(healthy__gt=0, start__lt=middle))
    late = Sum(Power(Value(2.0), number - Value(float(BITS))), filter=Q(healthy__gt=0, start__gte=middle))
    return {**sums, "early": early, "late": late}


# The same of most checks.
@lru_cache(1_000)
def _states(early: float | None, late: float | None) -> str:
    """Return the letters of the days whose bits are set, which were healthy."""
    bits = round(early or 0) | round(late or 0) << BITS
    return "".join([STATES["healthy"] if bits >> number & 1 else UNKNOWN for number in range(DAYS)])


def availability(strip: Strip) -> float | None:
    """Return the share of the known time that was not in error; degraded is available."""
    return 1 - strip.error / strip.known if strip.known else None


def coverage(strip: Strip, now: float) -> float:
    """Return the share of the time of which something is known, or that was planned maintenance or blocked."""
    return min(1.0, strip.covered / (now - strip.first))
