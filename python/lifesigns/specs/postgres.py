"""What is checked of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from lifesigns.specs.base import Spec, StrPath, Value
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresServer(Value):
    """A PostgreSQL server and database, in libpq's words. What is left out comes from `service`, the `PG*`
    environment, the password file and libpq's defaults. `role` is switched to after connecting."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    dbname: str | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    sslrootcert: StrPath | None = None
    sslcert: StrPath | None = None
    sslkey: StrPath | None = None
    connect_timeout: int | None = None
    options: str | None = field(default=None, repr=False)
    application_name: str | None = None
    service: str | None = None
    passfile: StrPath | None = None
    role: str | None = None

    @classmethod
    def from_url(cls, url: str) -> PostgresServer:
        """The server of `postgresql://user:password@host:5432/dbname?sslmode=require`; ValueError for another URL."""
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
        known = [item.name for item in fields(cls)]
        if unknown := sorted(found.keys() - known):
            raise ValueError(f"unknown parameters in a PostgreSQL URL: {', '.join(unknown)}; known: {', '.join(known)}")
        return cls(**found)  # type: ignore[arg-type]


_NUMBERS = ("port", "connect_timeout")


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres(Spec):
    """`SELECT 1`, the version, and the number of Django sessions where their table exists."""

    kind: ClassVar[str] = "postgres"
    server: PostgresServer


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgis(Spec):
    """The PostGIS extension is installed and computes."""

    kind: ClassVar[str] = "postgis"
    server: PostgresServer


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresFunctions(Spec):
    """The named functions exist. Unless `required` (True), none of them existing is skipped."""

    kind: ClassVar[str] = "postgres_functions"
    server: PostgresServer
    functions: Sequence[str]
    required: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresStatements(Spec):
    """The share (10 %, 30 %) of statements in pg_stat_statements whose mean exceeds `slow_ms` (100 ms)."""

    kind: ClassVar[str] = "postgres_statements"
    server: PostgresServer
    slow_ms: float | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresConnections(Spec):
    """The share (70 %, 90 %) of the server's usable connections that this database takes."""

    kind: ClassVar[str] = "postgres_connections"
    server: PostgresServer
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MaterializedViews(Spec):
    """The named materialized views exist and are populated."""

    kind: ClassVar[str] = "materialized_views"
    server: PostgresServer
    views: Sequence[str]
