"""PostgreSQL with a search path that says whose tables are meant."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Sets the search path with the first cursor after each change of the schema."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.set_schema("public")

    def set_schema(self, name: str) -> None:
        self.schema_name = name
        self._path_is_set = False

    def set_schema_to_public(self) -> None:
        self.set_schema("public")

    def close(self) -> None:
        self._path_is_set = False
        super().close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)  # type: ignore[misc]  # not in the stubs
        if not self._path_is_set:
            self._path_is_set = True
            paths = [self.schema_name, *getattr(settings, "PG_EXTRA_SEARCH_PATHS", [])]
            with self.connection.cursor() as setting:
                setting.execute("SELECT set_config('search_path', %s, false)", [",".join(dict.fromkeys(paths))])
        return cursor
