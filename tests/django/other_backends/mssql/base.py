"""SQLite that calls itself SQL Server."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    vendor, display_name = "microsoft", "SQL Server"
    get_database_version = BaseDatabaseWrapper.get_database_version

    def check_database_version_supported(self) -> None:
        """Needs the version."""
