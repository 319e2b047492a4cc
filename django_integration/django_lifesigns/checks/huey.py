"""Huey's tasks in a storage that is not Redis, through huey itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django_lifesigns.checks.task_results import DEPTH, pending
from lifesigns.specs import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class HueyPending:
    """Tasks that wait, and those that are to run later."""

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
        return {**result, "details": {**details, "scheduled_tasks": int(storage.schedule_size())}}
