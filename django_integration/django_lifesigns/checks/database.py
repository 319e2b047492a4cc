"""Database connectivity through Django's own connection, for the engines that the native checks do not speak."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections

SESSION_TABLE = "django_session"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseConnectivity:
    """`SELECT 1`, the version, and the number of sessions (None where their table is missing)."""

    alias: str = "default"

    def __call__(self) -> dict[str, object]:
        connection = connections[self.alias]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1" + connection.features.bare_select_suffix)
            answer = cursor.fetchone()
            sessions = None
            if SESSION_TABLE in connection.introspection.table_names(cursor):
                cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(SESSION_TABLE)}")
                (sessions,) = cursor.fetchone()
        version = ".".join(map(str, connection.get_database_version()))
        healthy = answer == (1,)
        return {
            "status": "healthy" if healthy else "error",
            "message": "the database answers" if healthy else "SELECT 1 did not return 1",
            "details": {
                "database_version": f"{connection.display_name} {version}",
                "session_count": sessions,
                "connection_status": "connected",
            },
        }
