"""What anybody may know of an answer: how it is, not why. The same as the native probe server shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_RESULT = ("status", "timestamp", "cached", "age_seconds", "pending")
# The messages of reports are Lifesigns' own words; those of results may name hosts and versions.
OF_REPORT = ("status", "message", "timestamp", "uptime_seconds", "summary", "correlation_id")


def statuses_only(report: Mapping[str, Any], results: str | None = "checks") -> dict[str, Any]:
    """A report, or another answer that holds its results under the key `results`, without what only some may see.

    Of an answer that is one result, `results` is None.
    """
    if results is None:
        return {key: report[key] for key in OF_RESULT if key in report}
    shown: dict[str, Any] = {}
    for key, value in report.items():
        if key == results:
            shown[key] = {name: statuses_only(result, None) for name, result in value.items()}
        elif key in OF_REPORT:
            shown[key] = value
    return shown
