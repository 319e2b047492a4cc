"""Searches the history within bounds, so that the admin stays quick with millions of rows."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

from django_lifesigns.models import HealthCheckLog, ServiceAvailability

# What no index finds is looked for in so many rows, and so many are counted.
ROWS = 100_000
NAMES = 1_000
# The results of one sweep are no further apart.
SWEEP_WITHIN = timedelta(hours=1)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # is no generic at run time
    """Pages of the first rows: counting and skipping millions takes seconds."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `ROWS`."""
        rows: Any = self.object_list
        counted: int = rows.order_by()[:ROWS].count()
        return counted


def latest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the latest `ROWS` of these rows, by the index on `checked_at`."""
    beyond = rows.order_by("-checked_at").values_list("checked_at", flat=True)[ROWS : ROWS + 1].first()
    return rows if beyond is None else rows.filter(checked_at__gt=beyond)


def by_name_or_sweep(rows: QuerySet[Any], term: str) -> QuerySet[Any] | None:
    """Return the rows of the checks whose names start with the term, or those of the sweep; None if it is neither.

    The names are those in the few rows of availability: an index finds names, but not the beginnings of names.
    """
    term = term.strip()
    with suppress(ValueError):
        sweep = UUID(term)
        return latest(rows).filter(correlation_id=sweep)
    found = [name for name in check_names() if name.startswith(term)]
    return rows.filter(check_name__in=found) if found and term else None


def sweep_of(row: HealthCheckLog) -> dict[str, str]:
    """Return the lookups of all results of its sweep: no index finds them, so that of the times bounds the search."""
    return {
        "correlation_id__exact": str(row.correlation_id),
        "checked_at__gte": (row.checked_at - SWEEP_WITHIN).isoformat(),
        "checked_at__lte": (row.checked_at + SWEEP_WITHIN).isoformat(),
    }


def check_names() -> list[str]:
    """Return the names of all checks that were recorded."""
    return list(ServiceAvailability.objects.order_by("service_name").values_list("service_name", flat=True)[:NAMES])
