"""On which days an objective lost its budget: days of the project's zone, which hours make up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timezone

from django.db.models import Q
from django.utils.timezone import get_default_timezone

from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.rollups.periods import DAY, HOUR
from django_lifesigns.history.rollups.reading import MOST_NAMES, raw_rows


def bad_by_day(targets: Mapping[str, Target], now: float) -> dict[str, dict[date, float]]:
    """Return by check the bad seconds of each day, of UTC where there are no hours any more: one query."""
    from django_lifesigns.models import Rollup

    since = now - max(target.seconds for target in targets.values())
    is_bad = Q(error__gt=0)
    if any(target.degraded_is_bad for target in targets.values()):
        is_bad |= Q(degraded__gt=0)
    found = Rollup.objects.filter(_hours_or_days(since, now), is_bad).order_by("start")
    if len(targets) <= MOST_NAMES:
        found = found.filter(check_name__in=targets)
    columns = ("check_name", "start", "period", "degraded", "error")
    zone = get_default_timezone()
    days: dict[tuple[int, bool], date] = {}
    lost: dict[str, dict[date, float]] = defaultdict(dict)
    for check, start, period, degraded, error in raw_rows(found.values_list(*columns)):
        target, is_hour = targets.get(check), period == HOUR.name
        if target is None or start + (HOUR if is_hour else DAY).seconds <= now - target.seconds:
            continue
        bad = error + (degraded if target.degraded_is_bad else 0.0)
        if bad:
            day = days.get((start, is_hour))
            if day is None:
                day = datetime.fromtimestamp(start, zone if is_hour else timezone.utc).date()
                days[start, is_hour] = day
            lost[check][day] = lost[check].get(day, 0.0) + bad
    return lost


def bad_since(since: float, lost: Mapping[str, Mapping[date, float]]) -> list[str]:
    """Return the checks that were bad on the day of that time or later, of what `bad_by_day` has found."""
    day = datetime.fromtimestamp(since, get_default_timezone()).date()
    return [check for check, days in lost.items() if max(days) >= day]


def _hours_or_days(since: float, now: float) -> Q:
    """Return the condition of the hours since a time, and of the days where there are no hours any more."""
    kept = HOUR.kept_since(now)
    rows = Q(period=HOUR.name, start__gte=max(HOUR.start(since), kept))
    return rows | Q(period=DAY.name, start__gte=DAY.start(since), start__lt=kept) if since < kept else rows
