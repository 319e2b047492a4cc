"""Huey's tasks in a storage that is not Redis, through huey itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from django_lifesigns.checks.task_results import DEPTH, OVERDUE_AFTER, pending, with_overdue
from lifesigns.specs import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class HueyPending:
    """Tasks that wait, those that are to run later, and those that no consumer has moved into the queue in time."""

    thresholds: Thresholds = DEPTH

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        yield "huey.contrib.djhuey"

    def __call__(self) -> dict[str, object]:
        from huey.contrib.djhuey import HUEY

        storage: Any = HUEY.storage
        result = pending({storage.name: int(storage.queue_size())}, self.thresholds, None)
        details = cast("dict[str, object]", result["details"])
        # As huey writes times.
        now = datetime.now(timezone.utc) if HUEY.utc else datetime.now().astimezone()
        overdue = _scheduled_before(storage, now.replace(tzinfo=None) - timedelta(seconds=OVERDUE_AFTER))
        scheduled = int(storage.schedule_size())
        if overdue is None:
            return {**result, "details": {**details, "scheduled_tasks": scheduled}}
        result = {**result, "details": {**details, "scheduled_tasks": max(0, scheduled - overdue)}}
        return with_overdue(result, overdue)


def _scheduled_before(storage: Any, at: datetime) -> int | None:
    """Return how many tasks were to run before a time; None for a storage that does not tell."""
    if hasattr(storage, "Schedule"):  # peewee's
        return int(storage.schedule().where(storage.Schedule.timestamp <= at).count())
    if hasattr(storage, "schedule_path"):
        length, limit = 12, storage._timestamp_to_prefix(at)  # names of files begin with the time
        names = storage._get_sorted_filenames(storage.schedule_path)
        return sum(1 for name in names if name[:length] <= limit)
    if not hasattr(storage, "sql"):
        return None
    table = getattr(storage, "table_schedule", None)  # PostgreSQL's; that of SQLite has one name
    mark = "%s" if table else "?"
    statement = f"select count(*) from {table or 'schedule'} where queue = {mark} and timestamp <= {mark}"
    [(count,)] = storage.sql(statement, (storage.name, at.timestamp()), results=True)
    return int(count)
