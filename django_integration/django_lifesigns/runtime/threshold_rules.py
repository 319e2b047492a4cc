"""What a threshold of a metric may be: one rule for the admin, and for what stands in the table already."""

from __future__ import annotations

import math

from django.utils.translation import gettext_noop

PERCENT = frozenset(["disk_usage", "memory_usage", "error_rate"])
# The engine takes no longer response time.
DAY_MS = 86_400_000
ANY, SHARE = gettext_noop("a number from 0"), gettext_noop("a number from 0 to 100")
MILLISECONDS = gettext_noop("a number of milliseconds above 0 and below 86,400,000, a day")


def wanted_instead(metric: str, value: object) -> str | None:
    """Return what the threshold of a metric must be if this value cannot be one, in English; else None."""
    wanted = MILLISECONDS if metric == "response_time" else SHARE if metric in PERCENT else ANY
    # SQLite stores any text in a column of numbers.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return wanted
    if metric == "response_time":
        return None if 0 < value < DAY_MS else wanted
    return None if 0 <= value <= (100 if metric in PERCENT else math.inf) else wanted
