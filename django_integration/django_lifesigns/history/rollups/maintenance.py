"""Planned maintenance, as `LIFESIGNS["ALERTS"]["MAINTENANCE"]` has it.

What is wrong in an entry is no maintenance; the system checks of the alerts name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from django_lifesigns.settings.alerts import parse
from lifesigns.maintenance import maintenance_windows

Interval = tuple[float, float]


def windows(checks: Iterable[str], since: float, until: float) -> dict[str, list[Interval]]:
    """Return by check when it was in maintenance between two times, in order and without overlaps.

    Whole windows, in seconds since 1970: the first may start before `since`, the last end after `until`.
    """
    return maintenance_windows(_entries(), checks, since, until)


def _entries() -> list[Mapping[str, object]]:
    conf: Any = getattr(settings, "LIFESIGNS", None)
    alerts = conf.get("ALERTS") if isinstance(conf, Mapping) else None
    if not isinstance(alerts, Mapping):
        return []
    return [entry for entry in parse(alerts).maintenance.values() if _is_right(entry)]


def _is_right(entry: Mapping[str, object]) -> bool:
    try:
        maintenance_windows([entry], [], 0, 0)
    except ValueError:
        return False
    return True
