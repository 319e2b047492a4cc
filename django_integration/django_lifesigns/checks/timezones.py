"""Times as the project's database keeps them, which `USE_TZ` decides, and in UTC, as they are shown."""

from __future__ import annotations

from datetime import datetime
from datetime import timezone as zone

from django.conf import settings
from django.utils import timezone


def kept(at: datetime) -> datetime:
    """With its zone or, without `USE_TZ`, in the project's own zone without saying so."""
    return utc(at) if settings.USE_TZ else timezone.make_naive(utc(at), timezone.get_default_timezone())


def utc(at: datetime) -> datetime:
    """In UTC, and saying so."""
    if timezone.is_naive(at):
        # What comes without a zone though there is USE_TZ is the result of an expression that was computed in UTC.
        at = (
            at.replace(tzinfo=zone.utc) if settings.USE_TZ else timezone.make_aware(at, timezone.get_default_timezone())
        )
    return at.astimezone(zone.utc)
