"""A row of the log of results, as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class LogRow:
    """A row of `HealthCheckLog` that is to be written: a model instance of each takes longer than the rest."""

    check_name: str
    status: str
    message: str
    details: Mapping[str, Any]
    duration_ms: float
    checked_at: datetime
    correlation_id: str | None


def of_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row has of a result, by column."""
    return {
        "status": result.get("status", "error"),
        "message": result.get("message") or "",
        "details": result.get("details") or {},
        "duration_ms": result.get("duration_ms", 0.0),
    }
