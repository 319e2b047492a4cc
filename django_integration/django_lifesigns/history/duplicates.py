"""Makes one row of several that a unique constraint, which an adopted table lacks, would not allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.models import Count

from django_lifesigns.history.announcements import announce

SUMS = ("total_checks", "successful_checks", "failed_checks", "degraded_checks")
LATEST = ("last_check_at", "last_success_at", "last_failure_at")


def merge_duplicates(model: type[models.Model], fields: list[str], using: str) -> None:
    """Merge the rows that are equal in these fields, and say of which there were several."""
    rows = model._default_manager.using(using)
    groups = rows.order_by().values(*fields).annotate(count=Count("pk")).filter(count__gt=1)
    merge = MERGES.get(model._meta.db_table, _last)
    for group in list(groups):
        key = {name: group[name] for name in fields}
        # As the database finds them equal, which may be without regard to case.
        equal = list(rows.filter(**key).order_by("pk"))
        kept = merge(equal)
        kept.save(using=using)
        rows.filter(pk__in=[row.pk for row in equal if row.pk != kept.pk]).delete()
        names = " ".join(map(str, key.values()))
        announce(using, f"{model._meta.db_table}: {len(equal)} rows of {names} are one now, as they have to be.")


def _sum(rows: list[Any]) -> Any:
    """Return the first row of a service's availability with the counts of all."""
    kept = rows[0]
    for name in SUMS:
        setattr(kept, name, sum(getattr(row, name) for row in rows))
    for name in LATEST:
        setattr(kept, name, max(filter(None, (getattr(row, name) for row in rows)), default=None))
    kept.uptime_percentage = 100.0 * kept.successful_checks / kept.total_checks if kept.total_checks else 100.0
    return kept


def _governing(rows: list[Any]) -> Any:
    """Return the threshold that was saved last of those that are enabled, or of all."""
    return max(rows, key=lambda row: (bool(row.enabled), row.updated_at, row.pk))


def _last(rows: list[Any]) -> Any:
    return rows[-1]


MERGES: dict[str, Callable[[list[Any]], Any]] = {
    "core_service_availability": _sum,
    "core_alert_threshold": _governing,
}
