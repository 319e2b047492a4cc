"""Incidents of a time, from the log: root causes, with the checks that these blocked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import router
from django.db.models import F, OuterRef, Q, Subquery

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.rollups.reading import quick_plans
from django_lifesigns.models import HealthCheckLog

BAD = ("degraded", "error")
# The latest of them.
MOST = 1_000
# An incident has two edges, of one status, and more if it changed: so many are read at first for few incidents.
LEAST_EDGES = 200
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
    most: int = MOST,
) -> list[Incident]:
    """Return the incidents of a time, latest first: one query, and another where so few of them have very many edges.

    Args:
        hold: for how long the last result of a check says something.
        parents: of each check that depends on others.
        check: of this one alone.
        most: no more than these.
    """
    found: list[Incident] = []
    for limit in sorted({max(2 * most, LEAST_EDGES), 2 * MOST}):
        edges = _edges(since, until, check, limit)
        found = _folded(_of_checks(edges, hold, utc(until)), parents, utc(until))
        # Of those that were read the oldest may have started before its first edge.
        if len(edges) < limit or len(found) > most:
            break
    return sorted(found, key=lambda incident: incident.since, reverse=True)[:most]


class Edge(NamedTuple):
    """The first or the last of the results of one bad status that follow each other, and what was before and after."""

    status: str
    at: datetime
    message: str
    before: str | None
    after: str | None
    after_at: datetime | None


def _edges(since: datetime, until: datetime, check: str | None, most: int) -> list[tuple[Any, ...]]:
    """Return (check, *edge) of the latest, latest first.

    Bad results are few: by them, each with its neighbours by the index, no others are read.
    """
    in_time = HealthCheckLog.objects.filter(checked_at__gte=since, checked_at__lt=until)
    own = in_time.filter(check_name=OuterRef("check_name"))
    # Those of one time are in the order of their keys.
    at, key = OuterRef("checked_at"), OuterRef("pk")
    earlier = own.filter(Q(checked_at__lt=at) | Q(pk__lt=key), checked_at__lte=at).order_by("-checked_at", "-pk")
    later = own.filter(Q(checked_at__gt=at) | Q(pk__gt=key), checked_at__gte=at).order_by("checked_at", "pk")
    bad = in_time.filter(status__in=BAD) if check is None else in_time.filter(status__in=BAD, check_name=check)
    edges = bad.annotate(
        before=Subquery(earlier.values("status")[:1]),
        after=Subquery(later.values("status")[:1]),
        after_at=Subquery(later.values("checked_at")[:1]),
    ).filter(~Q(before=F("status")) | Q(before=None) | ~Q(after=F("status")) | Q(after=None))
    columns = ("check_name", "status", "checked_at", "message", "before", "after", "after_at")
    with quick_plans(router.db_for_read(HealthCheckLog)):
        return list(edges.order_by("-checked_at", "-pk").values_list(*columns)[:most])


def _of_checks(edges: Sequence[tuple[Any, ...]], hold: Callable[[str], timedelta], until: datetime) -> list[Incident]:
    """Return the incidents of all checks, of whose edges the latest is first."""
    by_check: dict[str, list[Edge]] = defaultdict(list)
    for name, *edge in reversed(edges):
        by_check[name].append(Edge(*edge))
    return [incident for name, each in by_check.items() for incident in _of_check(name, each, hold(name), until)]


def _of_check(name: str, edges: Iterable[Edge], hold: timedelta, until: datetime) -> list[Incident]:
    """Return the incidents of one check, whose edges are in order."""
    found: list[Incident] = []
    open_: Incident | None = None
    for edge in edges:
        if open_ is None:
            open_ = Incident(name, edge.status, utc(edge.at), None, edge.message)
        elif edge.status == "error" != edge.before:  # it got worse: what it is about now
            open_ = replace(open_, status=edge.status, cause=edge.message)
        if edge.after in BAD:
            continue
        # Without a later result it lasts, as long as the last one says something.
        end = utc(edge.after_at) if edge.after_at else min(utc(edge.at) + hold, until)
        found.append(open_ if edge.after_at is None and end >= until else replace(open_, until=end))
        open_ = None
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
