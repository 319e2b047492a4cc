"""Adds results to the figures of `ServiceAvailability`, in one statement whose arithmetic the database does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from django_lifesigns.history.statements import Expression, Values, insert_into, on_conflict

if TYPE_CHECKING:
    from django_lifesigns.models import ServiceAvailability

COUNTERS = {"healthy": "successful_checks", "degraded": "degraded_checks", "error": "failed_checks"}
LAST = {"healthy": "last_success_at", "error": "last_failure_at"}

ADDED = ("total_checks", *COUNTERS.values())
LAST_TIMES = ("last_check_at", *LAST.values())
COLUMNS = ("service_name", *ADDED, *LAST_TIMES, "uptime_percentage", "created_at", "updated_at")


@dataclass(slots=True)
class Tally:
    """What is to be added to the figures of one service."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ADDED, 0))
    times: dict[str, datetime] = field(default_factory=dict)

    def add(self, status: str, at: datetime) -> None:
        """Count a result. A status that is none of ours was checked, and is no success."""
        for name in filter(None, ("total_checks", COUNTERS.get(status))):
            self.counts[name] += 1
        for name in filter(None, ("last_check_at", LAST.get(status))):
            self.times[name] = max(at, self.times.get(name, at))

    def last_times(self) -> list[datetime | None]:
        """Return them in the order of `LAST_TIMES`."""
        return [self.times.get(name) for name in LAST_TIMES]

    @property
    def uptime(self) -> float:
        return 100.0 * self.counts["successful_checks"] / self.counts["total_checks"]


class AvailabilityManager(models.Manager["ServiceAvailability"]):
    """`objects` of `ServiceAvailability`."""

    def record(self, results: Iterable[tuple[str, str, datetime]], using: str | None = None) -> None:
        """Count results (service, status, when): one query, in which no concurrent one is lost."""
        tallies: dict[str, Tally] = {}
        for name, status, at in results:
            if status != "skipped":
                tallies.setdefault(name, Tally()).add(status, at)
        if not tallies:
            return
        model: type[ServiceAvailability] = self.model
        connection = connections[using or router.db_for_write(model)]
        times: Any = model._meta.get_field("last_check_at")

        def prepared(at: datetime | None) -> Any:
            return times.get_db_prep_save(at, connection)

        now = prepared(timezone.now())
        values = Values()
        rows = [
            values.row(name, *tally.counts.values(), *map(prepared, tally.last_times()), tally.uptime, now, now)
            # In one order everywhere: two processes that lock the same rows cannot wait for each other.
            for name, tally in sorted(tallies.items(), key=itemgetter(0))
        ]
        with connection.cursor() as cursor:
            cursor.execute(_upsert(connection, model._meta.db_table, rows), values.parameters)


def _upsert(connection: BaseDatabaseWrapper, table: str, rows: list[str]) -> str:
    upsert = on_conflict(connection, table, ["service_name"], _changes)
    return f"{insert_into(connection, table, COLUMNS, rows)} {upsert}"


def _changes(old: Expression, new: Expression) -> dict[str, str]:
    """By column, the expression of its new value. MySQL counts with columns that are changed already: shares first."""
    total, good = (f"({old(name)} + {new(name)})" for name in ("total_checks", "successful_checks"))
    latest = {
        name: f"CASE WHEN {old(name)} IS NULL OR {old(name)} < {new(name)} THEN {new(name)} ELSE {old(name)} END"
        for name in (*LAST_TIMES, "updated_at")
    }
    return {
        "uptime_percentage": f"100.0 * {good} / {total}",
        **{name: f"{old(name)} + {new(name)}" for name in ADDED},
        **latest,
    }
