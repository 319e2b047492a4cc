"""Users in a database of their own, all else in `primary`, read from a replica."""

from __future__ import annotations

from typing import Any


class AuthRouter:
    """Users and their permissions."""

    labels = frozenset(["auth", "contenttypes"])

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "auth_db" if model._meta.app_label in self.labels else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "auth_db" if model._meta.app_label in self.labels else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "auth_db" if app_label in self.labels else None


class PrimaryReplicaRouter:
    """Consulted for what is none of the users'; says yes to every migration, as documented."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "primary"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return True
