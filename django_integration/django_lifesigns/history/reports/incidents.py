"""Incidents of a time, from the changes of status in the log: root causes, with the checks that these blocked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Max, Q, Window
from django.db.models.functions import Lag

from django_lifesigns.checks.timezones import utc
from django_lifesigns.models import HealthCheckLog

BAD = ("degraded", "error")
# The latest of them.
MOST = 1_000
# A child may be found in error so long before its parent is.
EARLIER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which a check was not healthy; `until` is None while it lasts."""

    check: str
    status: str
    since: datetime
    until: datetime | None
    cause: str
    blocked: tuple[str, ...] = field(default=())

    def duration(self, now: datetime) -> timedelta:
        """Return how long it has lasted."""
        return (self.until or now) - self.since

    def explains(self, other: Incident, now: datetime) -> bool:
        """Return whether an incident of a child of this check started while this one lasted."""
        return self.status == "error" and self.since - EARLIER <= other.since <= (self.until or now)


def incidents(
    since: datetime,
    until: datetime,
    hold: Callable[[str], timedelta],
    parents: Mapping[str, Iterable[str]],
    check: str | None = None,
) -> list[Incident]:
    """Return the incidents of a time, latest first: two queries.

    Args:
        hold: for how long the last result of a check says something.
        parents: of each check that depends on others.
        check: of this one alone.
    """
    in_time = HealthCheckLog.objects.filter(checked_at__gte=since, checked_at__lt=until).order_by()
    if check is not None:
        in_time = in_time.filter(check_name=check)
    order: Any = {"partition_by": [F("check_name")], "order_by": [F("checked_at").asc(), F("pk").asc()]}
    changes = in_time.annotate(before=Window(Lag("status"), **order)).filter(
        ~Q(before=F("status")) | Q(before=None, status__in=BAD)
    )
    columns = ("check_name", "status", "checked_at", "message")
    latest = list(changes.order_by("-checked_at", "-pk").values_list(*columns)[: 2 * MOST])
    last = dict(in_time.values_list("check_name").annotate(Max("checked_at")))
    by_check: dict[str, list[Any]] = defaultdict(list)
    for name, *change in reversed(latest):
        by_check[name].append(change)
    found = [
        incident
        for name, own in by_check.items()
        for incident in _of_check(name, own, min(utc(last[name]) + hold(name), utc(until)), utc(until))
    ]
    return sorted(_folded(found, parents, utc(until)), key=lambda incident: incident.since, reverse=True)[:MOST]


def _of_check(
    name: str, changes: Iterable[tuple[str, datetime, str]], known: datetime, until: datetime
) -> list[Incident]:
    """Return the incidents of one check, whose changes are in order."""
    found: list[Incident] = []
    open_: Incident | None = None
    for status, at, message in changes:
        if status in BAD:
            if open_ is None:
                open_ = Incident(name, status, utc(at), None, message)
            elif status == "error":  # it got worse: what it is about now
                open_ = replace(open_, status=status, cause=message)
        elif open_ is not None:
            found.append(replace(open_, until=utc(at)))
            open_ = None
    if open_ is not None:
        found.append(open_ if known >= until else replace(open_, until=known))
    return found


def _folded(found: list[Incident], parents: Mapping[str, Iterable[str]], now: datetime) -> list[Incident]:
    """Fold the incidents of children into those of the parents that explain them."""
    roots: list[Incident] = []
    blocked: dict[Incident, set[str]] = defaultdict(set)
    by_check: dict[str, list[Incident]] = defaultdict(list)
    for incident in found:
        by_check[incident.check].append(incident)
    for incident in found:
        causes = [
            cause
            for parent in ancestors(incident.check, parents)
            for cause in by_check[parent]
            if cause.explains(incident, now)
        ]
        if causes:
            for cause in causes:
                blocked[cause].add(incident.check)
        else:
            roots.append(incident)
    return [replace(incident, blocked=tuple(sorted(blocked[incident]))) for incident in roots]


def ancestors(check: str, parents: Mapping[str, Iterable[str]]) -> list[str]:
    """Return all checks that one depends on, nearest first."""
    found: list[str] = []
    waiting = list(parents.get(check, ()))
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting += parents.get(name, ())
    return found
