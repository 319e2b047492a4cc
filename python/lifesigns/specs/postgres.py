"""What is checked of a PostgreSQL server."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from lifesigns.specs.base import Spec, StrPath, Value
from lifesigns.specs.postgres_url import FromUrl
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresServer(FromUrl, Value):
    """A PostgreSQL server and database, in libpq's words. What is left out comes from the service, the `PG*`
    environment, the password file and libpq's defaults, in this order."""

    host: str | None = None
    """Name, address, or the directory of a Unix socket."""
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
    """A role to switch to after connecting (Django's `assume_role`)."""


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
    """The named functions exist."""

    kind: ClassVar[str] = "postgres_functions"
    server: PostgresServer
    functions: Sequence[str]
    required: bool | None = None
    """False: where none of the functions exists the check is skipped (they are then not part of this application)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresStatements(Spec):
    """The share (10%, 30%) of statements in pg_stat_statements whose mean exceeds `slow_ms` (100 ms)."""

    kind: ClassVar[str] = "postgres_statements"
    server: PostgresServer
    slow_ms: float | None = None
    """A statement is slow when its mean execution time exceeds this."""
    thresholds: Thresholds | None = None
    """Share of slow statements, in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresConnections(Spec):
    """The share (70%, 90%) of the server's usable connections that this database takes."""

    kind: ClassVar[str] = "postgres_connections"
    server: PostgresServer
    thresholds: Thresholds | None = None
    """Share of the usable connections that are taken, in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaterializedViews(Spec):
    """The named materialized views exist and are populated."""

    kind: ClassVar[str] = "materialized_views"
    server: PostgresServer
    views: Sequence[str]
