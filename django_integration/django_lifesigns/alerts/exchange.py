"""One exchange between the engine of a scope and the tables: what is new goes there, what people want comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Q
from django.utils import timezone

from django_lifesigns.alerts.rows import (
    DELIVERY_FIELDS,
    INCIDENT_FIELDS,
    delivery_rows,
    incident_row,
    moment,
    seconds,
    silence_row,
)
from django_lifesigns.alerts.tables import Delivery, Incident, Silence

# How often the owner of an open incident says that it still is, and after how long without that another one takes it.
RENEWED_EVERY = timedelta(seconds=60)
ABANDONED_AFTER = timedelta(minutes=3)
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
    using, now = router.db_for_write(Incident), timezone.now()
    rows = Incident.objects.using(using)
    open_or_to_retry = Q(resolved_at=None) | Q(retry_requested_at__isnull=False)
    wanted = Q(pk__in=list(known)) | Q(application=application) & open_or_to_retry
    with transaction.atomic(using=using):
        # Locked, so that of two processes that are late the second sees what the first has written.
        kept = {row.pk: row for row in rows.select_for_update().filter(wanted).order_by("pk")[:MOST_ROWS]}
        changed = [found for pk, found in known.items() if pk not in kept or kept[pk].revision < found["revision"]]
        _write(changed, kept, using, application, instance, now)
        ours = [row for row in kept.values() if row.pk in known and row.resolved_at is None]
        _renew([row for row in ours if row.mirrored_at < now - RENEWED_EVERY], using, now)
        _take_retries(result, kept.values(), known, instance, now)
        taken = [*result.retries, *(row.pk for row in result.retries_of_others)]
        if taken:
            rows.filter(pk__in=taken).update(retry_requested_at=None)
        others = [row for row in kept.values() if row.pk not in known and row.resolved_at is None]
        abandoned = [row for row in others if row.instance == instance or row.mirrored_at < now - ABANDONED_AFTER]
        result.restored = _adopt(abandoned, using, instance, now)
    result.confirmed = {
        pk: max(found["revision"], kept[pk].revision if pk in kept else 0) for pk, found in known.items()
    }
    result.acknowledged = [row for row in ours if row.acknowledged_by and not known[row.pk]["acknowledged_by"]]


def _take_retries(
    result: Exchange, kept: Iterable[Incident], known: Mapping[str, object], instance: str, now: datetime
) -> None:
    """Take what is to be delivered again of incidents of this scope, or of one that did not, and may be gone."""
    for row in (row for row in kept if row.retry_requested_at is not None):
        if row.pk in known:
            result.retries.append(row.pk)
        elif row.resolved_at is not None and (
            row.instance == instance or row.retry_requested_at < now - ABANDONED_AFTER
        ):
            result.retries_of_others.append(row)


def _write(
    changed: Iterable[Mapping[str, Any]],
    kept: Mapping[str, Incident],
    using: str,
    application: str,
    instance: str,
    now: datetime,
) -> None:
    rows = [incident_row(found, application, instance, now) for found in changed]
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


def _renew(rows: Collection[Incident], using: str, now: datetime) -> None:
    if rows:
        Incident.objects.using(using).filter(pk__in=[row.pk for row in rows]).update(mirrored_at=now)


def _adopt(abandoned: Collection[Incident], using: str, instance: str, now: datetime) -> list[Mapping[str, Any]]:
    """Take open incidents whose scope is gone. Where the engine has another one of the same check, it ends this one."""
    if abandoned:
        rows = Incident.objects.using(using).filter(pk__in=[row.pk for row in abandoned])
        rows.update(instance=instance, mirrored_at=now)
    return [row.record for row in abandoned]


def _exchange_silences(result: Exchange, known: Mapping[str, Mapping[str, Any]]) -> None:
    using, now = router.db_for_write(Silence), timezone.now()
    rows = Silence.objects.using(using)
    kept = {row.pk: row for row in rows.filter(ends_at__gt=now - ENDED_FOR).order_by("-ends_at")[:MOST_ROWS]}
    new = [silence_row(found) for pk, found in known.items() if pk not in kept]
    if new:
        # Another process may have written the same; one that is long over is not looked for above.
        rows.bulk_create(new, ignore_conflicts=True)
    for pk, row in kept.items():
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
