"""A PostgreSQL server from a URL."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

_Server = TypeVar("_Server", bound="FromUrl")
_NUMBERS = ("port", "connect_timeout")


class FromUrl:
    """Adds `from_url` to the fields of a PostgreSQL server."""

    __slots__ = ()

    @classmethod
    def from_url(cls: type[_Server], url: str) -> _Server:
        """Return the server of `postgresql://user:password@host:5432/dbname?sslmode=require`.

        Raises:
            ValueError: it is another URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError("a PostgreSQL URL begins with postgresql://")
        found: dict[str, str | int | None] = {
            "host": unquote(parts.hostname) if parts.hostname else None,
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "dbname": unquote(parts.path[1:]) or None,
        }
        try:
            found |= {"port": parts.port} | dict(parse_qsl(parts.query, keep_blank_values=True))
            found |= {name: int(value) for name in _NUMBERS if (value := found.get(name)) is not None}
        except ValueError:  # its text quotes the value, and an unescaped password ends up in the port
            raise ValueError("the port and connect_timeout of a PostgreSQL URL are whole numbers") from None
        known = [item.name for item in fields(cls)]  # type: ignore[arg-type]
        if unknown := sorted(found.keys() - known):
            raise ValueError(f"unknown parameters in a PostgreSQL URL: {', '.join(unknown)}; known: {', '.join(known)}")
        arguments: dict[str, Any] = found
        return cls(**arguments)
