"""Which results get a row of their own: with `LOG_EVERY` those that change a status, and one in so many seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.dateparse import parse_datetime

from django_lifesigns.checks.timezones import utc
from lifesigns import Engine

if TYPE_CHECKING:
    from django_lifesigns.history.log_row import LogRow


def log_every() -> float:
    """Return after how many seconds a result gets a row though nothing has changed; 0: each result gets one."""
    raw = getattr(settings, "LIFESIGNS", None)
    seconds = raw.get("LOG_EVERY") if isinstance(raw, Mapping) else None
    return float(seconds) if isinstance(seconds, (int, float)) and seconds > 0 else 0.0


@dataclass(slots=True)
class _Seen:
    status: str
    kept_at: datetime


class KeptRows:
    """What this process has seen of each check, and when it last kept a row of it."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def add(self, row: LogRow, result: Mapping[str, Any], engine: Engine | None) -> bool:
        """Return whether a row is to be kept: of all processes that share results, in one of them."""
        every, at = log_every(), utc(row.checked_at)
        if not every:
            return True
        seen = self._seen.setdefault(row.check_name, _Seen("", at))
        is_first = seen.status == ""
        # A process that has seen nothing before knows by the result itself whether it was the first of its status.
        since = parse_datetime(str(result.get("since"))) if is_first else None
        is_change = since == at if is_first else seen.status != row.status
        seen.status = row.status
        is_due = is_first or (at - seen.kept_at).total_seconds() >= every
        if not (is_change or is_due):
            return False
        claim = engine is None or engine.claim_record(
            f"lifesigns.log.{row.check_name}", at.timestamp(), gap=0.0 if is_change else every
        )
        if is_change or claim:
            seen.kept_at = at
        return is_change or claim
