"""One exchange between the engine of a scope and the tables: what is new goes there, what people want comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connections, router
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from django_lifesigns.alerts.rows import (
    DELIVERY_FIELDS,
    INCIDENT_FIELDS,
    delivery_rows,
    incident_row,
    last_number,
    moment,
    seconds,
    silence_row,
)
from django_lifesigns.alerts.tables import Delivery, Incident, Silence
from django_lifesigns.checks.write_locks import atomic_write

# How often a scope renews the rows of its incidents, and after how long without that another scope takes them. By the
# clock of the database: those of hosts differ.
RENEWED_EVERY = timedelta(seconds=60)
ABANDONED_AFTER = timedelta(minutes=10)
# Of those that are over, how long one is looked at of which a notice is pending, or is to be delivered again.
PENDING_FOR, RETRIED_FOR = timedelta(days=8), timedelta(days=30)
# Of each table, in one exchange: others may have written there.
MOST_ROWS = 1_000
# States of a delivery.
PENDING, REPLACED = "pending", "replaced"
# How long a silence that is over is still looked at, so that its end reaches every scope.
ENDED_FOR = timedelta(days=1)


@dataclass(kw_only=True, slots=True)
class Exchange:
    """What the engine gets: which of its incidents the tables have, and what stands there that is new to it."""

    # The revision that is kept, by the id of the incident.
    confirmed: dict[str, int] = field(default_factory=dict)
    acknowledged: list[Incident] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    # The same of those that are over, and that the engine has forgotten.
    retries_of_others: list[Incident] = field(default_factory=list)
    # Open here, and resolved by another scope that had taken them: the number of its last notice, by the id.
    resolved_elsewhere: dict[str, int] = field(default_factory=dict)
    restored: list[Mapping[str, Any]] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    ended_silences: list[str] = field(default_factory=list)


def exchange(
    incidents: Sequence[Mapping[str, Any]],
    silences: Sequence[Mapping[str, Any]],
    *,
    application: str,
    instance: str,
) -> Exchange:
    """Write what is new, and return what was found: in a number of queries that does not grow with the incidents.

    Args:
        incidents: all that the engine has.
        silences: all that the engine has.
        application: whose incidents are continued here where their scope is gone.
        instance: this scope.
    """
    result = Exchange()
    _exchange_incidents(result, {found["id"]: found for found in incidents}, application, instance)
    _exchange_silences(result, {found["id"]: found for found in silences})
    return result


def _exchange_incidents(
    result: Exchange, known: Mapping[str, Mapping[str, Any]], application: str, instance: str
) -> None:
    using = router.db_for_write(Incident)
    rows = Incident.objects.using(using)
    with atomic_write(Incident, using):
        # Locked, so that of two processes that are late the second sees what the first has written.
        kept = {row.pk: row for row in _wanted(rows.select_for_update(), known, application)}
        taken_back = [pk for pk, row in kept.items() if _is_resolved_elsewhere(row, known.get(pk), instance)]
        is_newer = (pk for pk, found in known.items() if pk not in kept or kept[pk].revision < found["revision"])
        changed = [known[pk] for pk in {*taken_back, *is_newer}]
        _write(changed, kept, using, application, instance)
        ours = [row for row in kept.values() if row.pk in known]
        _renew([row for row in ours if _age(row) > RENEWED_EVERY], using)
        _take_retries(result, kept.values(), known, instance)
        taken = [*result.retries, *(row.pk for row in result.retries_of_others)]
        if taken:
            rows.filter(pk__in=taken).update(retry_requested_at=None)
        others = [row for row in kept.values() if row.pk not in known and (row.resolved_at is None or _any(row).waits)]
        abandoned = [row for row in others if row.instance == instance or _age(row) > ABANDONED_AFTER]
        result.restored = _adopt(abandoned, using, instance)
    result.resolved_elsewhere = {pk: last_number(kept[pk]) for pk in taken_back}
    result.confirmed = {
        pk: max(found["revision"], kept[pk].revision if pk in kept and pk not in taken_back else 0)
        for pk, found in known.items()
    }
    result.acknowledged = [
        row for row in ours if row.resolved_at is None and row.acknowledged_by and not known[row.pk]["acknowledged_by"]
    ]


def _wanted(rows: QuerySet[Incident], known: Collection[str], application: str) -> QuerySet[Incident]:
    """Return the rows of what the engine has, and those of the application of which something is still to be done."""
    now = timezone.now()
    waits = Exists(Delivery.objects.filter(incident=OuterRef("pk"), state=PENDING))
    is_open = Q(resolved_at=None)
    is_pending = Q(resolved_at__gt=now - PENDING_FOR, waits=True)
    is_to_retry = Q(resolved_at__gt=now - RETRIED_FOR, retry_requested_at__isnull=False)
    wanted = Q(pk__in=list(known)) | Q(application=application) & (is_open | is_pending | is_to_retry)
    return rows.annotate(waits=waits, database_now=Now()).filter(wanted).order_by("pk")[:MOST_ROWS]


def _any(row: Incident) -> Any:
    """Return a row as one that has annotations."""
    return row


def _age(row: Incident) -> timedelta:
    """Return how long ago a row was written or renewed."""
    age: timedelta = _any(row).database_now - row.mirrored_at
    return age


def _is_resolved_elsewhere(row: Incident, found: Mapping[str, Any] | None, instance: str) -> bool:
    """Return whether another scope has taken an incident that is open here, and resolved it: this one was cut off."""
    is_open = found is not None and found["resolved_at"] is None
    return is_open and row.resolved_at is not None and row.instance != instance


def _take_retries(result: Exchange, kept: Iterable[Incident], known: Mapping[str, object], instance: str) -> None:
    """Take what is to be delivered again of incidents of this scope, or of one that did not, and may be gone."""
    for row in (row for row in kept if row.retry_requested_at is not None):
        if row.pk in known:
            result.retries.append(row.pk)
        elif row.resolved_at is not None and (
            row.instance == instance or _any(row).database_now - row.retry_requested_at > ABANDONED_AFTER
        ):
            result.retries_of_others.append(row)


def _write(
    changed: Iterable[Mapping[str, Any]],
    kept: Mapping[str, Incident],
    using: str,
    application: str,
    instance: str,
) -> None:
    rows = [incident_row(found, application, instance) for found in changed]
    for row in rows:
        # It was acknowledged in the admin, and the engine does not know it yet.
        if not row.acknowledged_by and row.pk in kept:
            row.acknowledged_by = kept[row.pk].acknowledged_by
            row.acknowledgement = kept[row.pk].acknowledgement
    _upsert(rows, INCIDENT_FIELDS, using)
    deliveries = [row for found in changed for row in delivery_rows(found)]
    _upsert(deliveries, DELIVERY_FIELDS, using)
    if deliveries:
        # The engine keeps the last ones of each channel: what it has forgotten is not under way any more.
        pending = Delivery.objects.using(using).filter(incident__in=[row.pk for row in rows], state=PENDING)
        pending.exclude(pk__in=[row.pk for row in deliveries]).update(state=REPLACED)


def _upsert(rows: Sequence[Any], fields: Sequence[str], using: str) -> None:
    if not rows:
        return
    by_key = connections[using].features.supports_update_conflicts_with_target
    type(rows[0])._default_manager.using(using).bulk_create(
        rows, update_conflicts=True, update_fields=fields, unique_fields=["id"] if by_key else None
    )


def _renew(rows: Collection[Incident], using: str) -> None:
    if rows:
        Incident.objects.using(using).filter(pk__in=[row.pk for row in rows]).update(mirrored_at=Now())


def _adopt(abandoned: Collection[Incident], using: str, instance: str) -> list[Mapping[str, Any]]:
    """Take incidents whose scope is gone. Where the engine has another one of the same check, it ends an open one."""
    if abandoned:
        rows = Incident.objects.using(using).filter(pk__in=[row.pk for row in abandoned])
        rows.update(instance=instance, mirrored_at=Now())
    return [row.record for row in abandoned]


def _exchange_silences(result: Exchange, known: Mapping[str, Mapping[str, Any]]) -> None:
    using, now = router.db_for_write(Silence), timezone.now()
    rows = Silence.objects.using(using)
    kept = {row.pk: row for row in rows.filter(ends_at__gt=now - ENDED_FOR).order_by("-ends_at")[:MOST_ROWS]}
    new = [silence_row(found) for pk, found in known.items() if pk not in kept]
    if new:
        # Another process may have written the same; one that is long over is not looked for above.
        rows.bulk_create(new, ignore_conflicts=True)
    # There may be no room for all: first those in force, then those that start soonest.
    for pk, row in sorted(kept.items(), key=lambda item: max(item[1].starts_at, now)):
        if pk not in known:
            if row.ends_at > now:
                result.silences.append(row)
        elif seconds(row.ends_at) < known[pk]["end"] - 1:
            result.ended_silences.append(pk)
    # One that was ended in one place ends everywhere.
    earlier = [row for pk, row in kept.items() if pk in known and known[pk]["end"] < seconds(row.ends_at) - 1]
    for row in earlier:
        row.ends_at = moment(known[row.pk]["end"])
    if earlier:
        rows.bulk_update(earlier, ["ends_at"])
