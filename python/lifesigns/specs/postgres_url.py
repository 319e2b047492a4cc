"""A PostgreSQL server from a URL."""

from __future__ import annotations

from typing import Any, TypeVar

_Server = TypeVar("_Server", bound="FromUrl")


class FromUrl:
    """Adds `from_url` to the fields of a PostgreSQL server."""

    __slots__ = ()

    @classmethod
    def from_url(cls: type[_Server], url: str) -> _Server:
        """Return the server of `postgresql://user:password@host:5432,other:5433/dbname?sslmode=require`.

        Raises:
            ValueError: it is another URL.
        """
        from lifesigns._core import parse_postgres_url  # the specifications themselves need no engine

        arguments: dict[str, Any] = parse_postgres_url(url)
        return cls(**arguments)
