"""A PostgreSQL server from a URL."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

_Server = TypeVar("_Server", bound="FromUrl")
_SERVER = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[0-9]*))?")


class FromUrl:
    """Adds `from_url` to the fields of a PostgreSQL server."""

    __slots__ = ()

    @classmethod
    def from_url(cls: type[_Server], url: str) -> _Server:
        """Return the server of `postgresql://user:password@host:5432,other:5433/dbname?sslmode=require`.

        Raises:
            ValueError: it is another URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError("a PostgreSQL URL starts with postgresql://")
        userinfo, _, servers = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        pairs = [_SERVER.fullmatch(server) for server in servers.split(",")]
        # The text is not shown: an unescaped password ends up in the port.
        if not all(pair and int(pair["port"] or 1) < 65536 for pair in pairs):
            raise ValueError("the port of a PostgreSQL URL is a whole number below 65536")
        hosts = [unquote(pair["host"].strip("[]")) for pair in pairs if pair]
        ports = [pair["port"] or "" for pair in pairs if pair]
        found: dict[str, str | int | None] = {
            "host": ",".join(hosts) or None,
            "port": None if not any(ports) else int(ports[0]) if len(ports) == 1 else ",".join(ports),
            "user": unquote(user) or None,
            "password": unquote(password) or None,
            "dbname": unquote(parts.path[1:]) or None,
        }
        found |= dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            for name in ("port", "connect_timeout"):
                if (value := found.get(name)) is not None and "," not in str(value):
                    found[name] = int(value)
        except ValueError:
            raise ValueError("the port and connect_timeout of a PostgreSQL URL are whole numbers") from None
        known = [item.name for item in fields(cls)]  # type: ignore[arg-type]
        if unknown := sorted(found.keys() - known):
            raise ValueError(f"unknown parameters in a PostgreSQL URL: {', '.join(unknown)}; known: {', '.join(known)}")
        arguments: dict[str, Any] = found
        return cls(**arguments)
