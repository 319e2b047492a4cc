"""Users are in the database `control`, events in `default`; nothing of Django's is in `legacy`."""

from __future__ import annotations

from typing import Any

CONTROL = {"auth", "contenttypes", "sessions", "admin"}


class SiloRouter:
    """By app."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self._of(model._meta.app_label)

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return self._of(model._meta.app_label)

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return self.db_for_read(first) == self.db_for_read(second)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == self._of(app_label)

    def _of(self, app_label: str) -> str:
        return "control" if app_label in CONTROL else "default"
