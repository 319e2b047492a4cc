"""Reads what actions did about a check from the table, where other hosts write it, too."""

from __future__ import annotations

from typing import Any

from django_lifesigns.actions.tables import ActionRun
from django_lifesigns.alerts.rows import seconds


def action_runs(application: str, check: str, most: int) -> list[dict[str, Any]]:
    """Return the latest as `Engine.action_log` has them, oldest first: one query."""
    rows = ActionRun.objects.filter(application=application, check_name=check).order_by("-started_at")[:most]
    return [_entry(row) for row in reversed(rows)]


def _entry(row: ActionRun) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "check": row.check_name or None,
        "cause": row.cause,
        "author": row.author,
        "reason": row.reason,
        "state": row.state,
        "text": row.message,
        "process": row.process,
        "at": seconds(row.started_at),
        "ended_at": None if row.ended_at is None else seconds(row.ended_at),
    }
