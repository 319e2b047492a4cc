"""History in a database of its own, and reads from the replica where a request wants that."""

from __future__ import annotations

from typing import Any

HISTORY = "student_module_history"


class HistoryRouter:
    """Only the history's own models are there."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if db == HISTORY or app_label == "history":
            return db == HISTORY and app_label == "history"
        return None


class ReadReplicaRouter:
    """Nothing is migrated on the replica."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == "read_replica" else None
