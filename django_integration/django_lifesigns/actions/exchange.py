"""One exchange between the engine and the tables: what actions did goes there, the switches of operators come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connections, router
from django.utils import timezone

from django_lifesigns.actions.tables import AUTHOR, NAME, ActionRun, ActionSwitch
from django_lifesigns.alerts.rows import moment, moment_if
from django_lifesigns.checks.write_locks import atomic_write
from django_lifesigns.history.rows import without_nul

LONGEST = 255
# Of the table, in one exchange: anybody may have written there.
MOST_ROWS = 1_000
FIELDS = ("state", "message", "reason", "process", "ended_at", "revision")


def write(entries: Sequence[Mapping[str, Any]], application: str) -> dict[str, int]:
    """Write entries of `Engine.action_log`, and return by their ids which revisions the table has then."""
    if not entries:
        return {}
    using = router.db_for_write(ActionRun)
    rows = ActionRun.objects.using(using)
    with atomic_write(ActionRun, using):
        # Locked, so that of two processes that are late none overwrites what is newer.
        wanted = rows.select_for_update().filter(pk__in=[entry["id"] for entry in entries]).order_by("pk")
        kept = {row.pk: row.revision for row in wanted}
        new = [_row(entry, application) for entry in entries if kept.get(entry["id"], -1) < entry["revision"]]
        if new:
            by_key = connections[using].features.supports_update_conflicts_with_target
            rows.bulk_create(new, update_conflicts=True, update_fields=FIELDS, unique_fields=["id"] if by_key else None)
    return {entry["id"]: max(entry["revision"], kept.get(entry["id"], 0)) for entry in entries}


def switches() -> dict[str, tuple[bool, str, datetime]]:
    """Return whether each action may run, who wants so, and since when."""
    rows = ActionSwitch.objects.all()[:MOST_ROWS]
    return {row.name: (row.is_on, row.author, row.changed_at) for row in rows}


def switch(name: str, *, is_on: bool, author: str) -> None:
    """Write a switch, in place of the one of the same name."""
    values = {"is_on": is_on, "author": author[:AUTHOR], "changed_at": timezone.now()}
    with atomic_write(ActionSwitch, router.db_for_write(ActionSwitch)):
        ActionSwitch.objects.update_or_create(name=name, defaults=values)


def prune(before: datetime) -> int:
    """Remove what was over by then, and return how much that was."""
    removed: int = ActionRun.objects.filter(started_at__lt=before).delete()[0]
    return removed


def _row(entry: Mapping[str, Any], application: str) -> ActionRun:
    return ActionRun(
        id=entry["id"],
        application=application[:NAME],
        name=entry["name"][:NAME],
        action=entry["action"][:LONGEST],
        check_name=(entry["check"] or "")[:NAME],
        cause=entry["cause"],
        author=entry["author"][:AUTHOR],
        reason=without_nul(entry["reason"]),
        state=entry["state"],
        message=without_nul(entry["text"]),
        fence=entry["fence"],
        process=entry["process"][:LONGEST],
        started_at=moment(entry["at"]),
        ended_at=moment_if(entry["ended_at"]),
        revision=entry["revision"],
    )
