"""Database connectivity through Django's own connection, where the native checks cannot log in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from django_lifesigns.checks.servers import database_server
from lifesigns import CheckFailed

# As the native check does it: a count of all rows would be the most expensive thing that a probe does.
COUNTED = 10_000
# The whole of what SQLite says, whatever is wrong with the file, its directory or their permissions.
CANNOT_OPEN = "unable to open database file"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseConnectivity:
    """`SELECT 1`, or what else the backend has; the version; the number of sessions (None where there are none)."""

    alias: str = "default"

    @property
    def server_address(self) -> str | None:
        """Return where it looks."""
        return database_server(self.alias)

    def __call__(self) -> dict[str, object]:
        connection = connections[self.alias]
        if self.alias != DEFAULT_DB_ALIAS and _is_missing_file(connection):
            return {"status": "error", "message": f"The file of DATABASES[{self.alias!r}] does not exist"}
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if str(error) != CANNOT_OPEN:
                raise
            raise CheckFailed(f"DATABASES[{self.alias!r}]: {CANNOT_OPEN}") from error
        answer, version = _select(connection), _version(connection)
        if answer is None and version is None:
            message = f"The backend of DATABASES[{self.alias!r}] has neither SQL nor get_database_version()"
            return {"status": "skipped", "message": message}
        details: dict[str, object] = {
            "database_version": " ".join(filter(None, [connection.display_name, version])),
            "session_count": None,
            "connection_status": "connected",
        }
        sessions = _sessions(self.alias)
        if sessions is not None:
            details["session_count"] = min(sessions, COUNTED)
            if sessions > COUNTED:
                details["session_count_estimated"] = True
        if answer not in (None, (1,)):
            return {"status": "error", "message": "SELECT 1 did not return 1", "details": details}
        return {"status": "healthy", "message": "Connected", "details": details}


def _is_missing_file(connection: Any) -> bool:
    """Return whether to connect would make an empty database: a file of SQLite's that the project has not made yet."""
    name = str(connection.settings_dict["NAME"])
    return (
        connection.vendor == "sqlite"
        and not (connection.is_in_memory_db() or name.startswith("file:"))
        and not os.path.exists(name)
    )


def _select(connection: Any) -> Any:
    """Return the row of `SELECT 1`; None where the backend has no SQL, whose cursors can do nothing (MongoDB)."""
    with connection.cursor() as cursor:
        if not hasattr(cursor, "execute"):
            return None
        if connection.vendor == "sqlite":  # by itself that reads nothing of the file
            cursor.execute("SELECT 1 FROM (SELECT count(*) FROM sqlite_master)")
        else:
            cursor.execute("SELECT 1" + connection.features.bare_select_suffix)
        return tuple(cursor.fetchone())


def _version(connection: Any) -> str | None:
    """Return the version, requested from the server; None where the backend does not say (SQL Server)."""
    try:
        return ".".join(map(str, connection.get_database_version()))
    except NotImplementedError:
        return None


def _sessions(alias: str) -> int | None:
    """Return the number of sessions, at most one more than are counted. One that fails does no harm to the rest."""
    if not apps.is_installed("django.contrib.sessions"):
        return None
    from django.contrib.sessions.models import Session

    try:
        if Session._meta.db_table not in connections[alias].introspection.table_names():
            return None
        return Session.objects.using(alias).order_by()[: COUNTED + 1].count()
    except Exception:  # noqa: BLE001  # backends without SQL raise errors of their own
        return None
