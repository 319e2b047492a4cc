"""The years, months and days in which there are rows, each found by an index: a DISTINCT reads all of millions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

# Added to the start of a period these lead into the next one, whichever its length.
BEYOND = {"year": timedelta(days=366), "month": timedelta(days=31), "day": timedelta(days=1)}


class ByIndex(QuerySet[Any]):
    """The rows that the admin's date hierarchy is made from."""

    def datetimes(self, field_name: str, kind: str, *_: Any, **__: Any) -> list[datetime]:  # type: ignore[override]
        """Return the starts of all periods of a kind, in the current time zone: a query of one row for each."""
        times = self.order_by(field_name).values_list(field_name, flat=True)
        found: list[datetime] = []
        at = times.first()
        while at is not None:
            found.append(_start(at, kind))
            at = times.filter(**{f"{field_name}__gte": _start(found[-1], kind, BEYOND[kind])}).first()
        return found


def _start(at: datetime, kind: str, beyond: timedelta = timedelta(0)) -> datetime:
    """Return the start of the period in which it is, or in which it is so long after it."""
    local = (timezone.make_naive(at) if timezone.is_aware(at) else at) + beyond
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind != "day":
        start = start.replace(day=1)
    if kind == "year":
        start = start.replace(month=1)
    return timezone.make_aware(start) if timezone.is_aware(at) else start
