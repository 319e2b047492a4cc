"""What people do with incidents, written into the tables: every process of every host follows within 30 s."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from django_lifesigns.alerts.tables import AUTHOR, DEFAULT_SILENCE, Delivery, Incident, Silence


def acknowledge(incidents: QuerySet[Incident], author: str, comment: str = "") -> int:
    """Acknowledge those that are open, and return how many were not acknowledged yet."""
    open_ones = incidents.filter(resolved_at=None, acknowledged_by="")
    return open_ones.update(acknowledged_by=author[:AUTHOR], acknowledgement=comment)


def retry(incidents: QuerySet[Incident]) -> int:
    """Have what was refused or has failed delivered again, and return of how many incidents."""
    failed = Delivery.objects.filter(state__in=("refused", "failed")).values("incident")
    return incidents.filter(pk__in=failed).update(retry_requested_at=timezone.now())


def new_silence(
    checks: str,
    *,
    author: str,
    duration: timedelta = DEFAULT_SILENCE,
    comment: str = "",
    severity: str = "",
    group: str = "",
) -> Silence:
    """Return a silence from now on, which is not saved yet."""
    now = timezone.now()
    given: dict[str, Any] = {"checks": checks, "severity": severity, "group": group}
    return Silence(**given, starts_at=now, ends_at=now + duration, author=author[:AUTHOR], comment=comment)


def end(silences: QuerySet[Silence]) -> int:
    """End those that have not ended, and return how many."""
    now = timezone.now()
    return silences.filter(ends_at__gt=now).update(ends_at=now)


def prune(before: datetime) -> tuple[int, int]:
    """Remove what was over by then, and what no process has had since; return how many incidents and silences."""
    is_abandoned = Q(resolved_at=None, mirrored_at__lt=before)
    incidents = Incident.objects.filter(Q(resolved_at__lt=before) | is_abandoned)
    silences = Silence.objects.filter(ends_at__lt=before)
    counts = incidents.count(), silences.count()
    Delivery.objects.filter(incident__in=incidents).delete()
    incidents.delete()
    silences.delete()
    return counts
