"""Planned maintenance, as `MAINTENANCE` of the alerts has it."""

from __future__ import annotations

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def maintenance_windows(
    maintenance: Iterable[Mapping[str, Any]], checks: Iterable[str], since: float, until: float
) -> dict[str, list[tuple[float, float]]]:
    """Return when each of the checks is in maintenance between two times, by its name: (start, end) of whole windows.

    Those of a check are in order and without overlaps. The first may start before `since`, the last end after `until`.

    Args:
        maintenance: windows as in ``alerts["MAINTENANCE"]``: once, or by a cron expression in UTC.
        since: seconds since 1970, as `until` and all that is returned.

    Raises:
        ValueError: one of the windows is wrong; it says which and how.
    """
    return _core.maintenance_windows(list(maintenance), list(checks), since, until)
