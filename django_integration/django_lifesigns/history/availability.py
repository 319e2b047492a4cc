"""Adds results to the figures of `ServiceAvailability`, in one statement whose arithmetic the database does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import NotSupportedError, connections, models, router
from django.utils import timezone

if TYPE_CHECKING:
    from django_lifesigns.models import ServiceAvailability

COUNTERS = {"healthy": "successful_checks", "degraded": "degraded_checks", "error": "failed_checks"}
LAST = {"healthy": "last_success_at", "error": "last_failure_at"}

ADDED = ("total_checks", *COUNTERS.values())
LATEST = ("last_check_at", *LAST.values(), "updated_at")


class AvailabilityManager(models.Manager["ServiceAvailability"]):
    """`objects` of `ServiceAvailability`."""

    def record(self, results: Iterable[tuple[str, str, datetime]], using: str | None = None) -> None:
        """Count results (service, status, when): one query, in which no concurrent one is lost."""
        tallies = self._tallies(results)
        if tallies:
            using = using or router.db_for_write(self.model)
            with connections[using].cursor() as cursor:
                cursor.execute(*_upsert(tallies, using))

    def _tallies(self, results: Iterable[tuple[str, str, datetime]]) -> list[ServiceAvailability]:
        tallies: dict[str, ServiceAvailability] = {}
        for name, status, at in results:
            if status != "skipped":
                tally = tallies.setdefault(name, self.model(service_name=name))
                # A status that is none of ours was checked, and is no success.
                for field in filter(None, ("total_checks", COUNTERS.get(status))):
                    setattr(tally, field, getattr(tally, field) + 1)
                for field in filter(None, ("last_check_at", LAST.get(status))):
                    setattr(tally, field, max(at, getattr(tally, field) or at))
        for tally in tallies.values():
            tally.updated_at = timezone.now()
            tally.uptime_percentage = 100.0 * tally.successful_checks / tally.total_checks
        # In one order everywhere: two processes that lock the same rows cannot wait for each other.
        return [tallies[name] for name in sorted(tallies)]


def _upsert(tallies: list[ServiceAvailability], using: str) -> tuple[str, list[Any]]:
    connection = connections[using]
    meta = tallies[0]._meta
    quote = connection.ops.quote_name
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    columns = ", ".join(quote(field.column) for field in fields if field.column)
    row = f"({', '.join(['%s'] * len(fields))})"
    features = connection.features
    if features.supports_update_conflicts_with_target:
        conflict, new = f"ON CONFLICT ({quote('service_name')}) DO UPDATE SET", "excluded.{}"
    elif features.supports_update_conflicts:
        conflict, new = "ON DUPLICATE KEY UPDATE", "VALUES({})"
    else:
        raise NotSupportedError(f"{connection.display_name} has no upsert: the history cannot be kept there")
    table = quote(meta.db_table)
    changes = _changes(lambda column: f"{table}.{quote(column)}", lambda column: new.format(quote(column)))
    sql = f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * len(tallies))} {conflict} " + ", ".join(
        f"{quote(column)} = {change}" for column, change in changes.items()
    )
    values = [field.get_db_prep_save(field.pre_save(tally, True), connection) for tally in tallies for field in fields]
    return sql, values


def _changes(old: Any, new: Any) -> dict[str, str]:
    """By column, the expression of its new value. MySQL counts with columns that are changed already: shares first."""
    total, good = (f"({old(name)} + {new(name)})" for name in ("total_checks", "successful_checks"))
    latest = {
        name: f"CASE WHEN {old(name)} IS NULL OR {old(name)} < {new(name)} THEN {new(name)} ELSE {old(name)} END"
        for name in LATEST
    }
    return {
        "uptime_percentage": f"100.0 * {good} / {total}",
        **{name: f"{old(name)} + {new(name)}" for name in ADDED},
        **latest,
    }
