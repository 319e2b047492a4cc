"""A database without SQL, whose version is a question to the server."""

from __future__ import annotations

from typing import Any

from django.db.backends.dummy import base


class Cursor:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class DatabaseWrapper(base.DatabaseWrapper):
    vendor, display_name = "mongodb", "MongoDB"
    answers = True

    def connect(self) -> None:
        self.connection = self

    def ensure_connection(self) -> None:
        self.connect()

    def close(self) -> None:
        self.connection = None

    def cursor(self) -> Any:
        return Cursor()

    def get_database_version(self) -> tuple[int, ...]:
        if not self.settings_dict["HOST"]:
            raise ConnectionError("no server")
        return 8, 0, 4
