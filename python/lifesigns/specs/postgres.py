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
    """A PostgreSQL server and database, in libpq's words. What is left out comes from `service`, the `PG*`
    environment variables, the password file and libpq's defaults, in this order."""

    url: str | None = field(default=None, repr=False)
    """`postgresql://user:password@host:5432,other:5433/dbname?sslmode=require`, as libpq reads it. What the other
    fields say comes before it."""
    host: str | None = None
    """Name, address, or the directory of a Unix socket; several separated by commas are tried in turn."""
    hostaddr: str | None = None
    """Address of each host, which saves the look-up of its name."""
    port: int | str | None = None
    """Port of the host, or a list of ports separated by commas, one for each host."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    dbname: str | None = None
    target_session_attrs: Literal["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] | None = (
        None
    )
    """Which of several servers fits: `any`, `read-write`, `read-only`, `primary`, `standby`, `prefer-standby`."""
    load_balance_hosts: Literal["disable", "random"] | None = None
    """`random` tries several servers in random order, `disable` in the given one."""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    sslnegotiation: Literal["postgres", "direct"] | None = None
    """`direct` starts TLS with the first byte (PostgreSQL 17 and later)."""
    sslrootcert: StrPath | None = None
    """PEM file of trusted certificates, or `system`."""
    sslcert: StrPath | None = None
    """PEM file of the client's certificate chain."""
    sslkey: StrPath | None = None
    """PEM file of the client's private key."""
    sslpassword: str | None = field(default=None, repr=False)
    """Password of the private key, if it is encrypted (PKCS#8)."""
    sslcrl: StrPath | None = None
    """PEM file of certificate revocation lists; as with libpq, a file that is missing is none."""
    sslcrldir: StrPath | None = None
    """Directory of revocation lists, each in a file that is named as `openssl rehash` does."""
    channel_binding: Literal["disable", "prefer", "require"] | None = None
    """Whether the login is bound to the server's certificate: `disable`, `prefer`, `require`."""
    connect_timeout: int | None = None
    """Seconds that each server may take to let us in; 0 is no limit but the check's own timeout."""
    options: str | None = field(default=None, repr=False)
    """Command-line options of the session, such as `-c statement_timeout=2s`."""
    application_name: str | None = None
    service: str | None = None
    """Name of a group in the service file."""
    passfile: StrPath | None = None
    """Path of the password file."""
    gssencmode: Literal["disable", "prefer", "require"] | None = None
    """Accepted as by a libpq without GSSAPI: `require` is refused."""
    krbsrvname: str | None = None
    """Accepted and without effect, as by a libpq without GSSAPI."""
    gsslib: str | None = None
    """Accepted and without effect, as by a libpq without GSSAPI."""
    gssdelegation: str | None = None
    """Accepted and without effect, as by a libpq without GSSAPI."""
    role: str | None = None
    """A role to switch to after connecting (Django's `assume_role`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres(Spec):
    """`SELECT 1`, the version, and the number of Django sessions where their table exists."""

    kind: ClassVar[str] = "postgres"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgis(Spec):
    """The PostGIS extension is installed and works."""

    kind: ClassVar[str] = "postgis"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresFunctions(Spec):
    """The named functions exist."""

    kind: ClassVar[str] = "postgres_functions"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    functions: Sequence[str]
    """Names, with or without their schema."""
    required: bool | None = None
    """False: if none of the functions exists the check is skipped, since they are not part of this application."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresStatements(Spec):
    """The share (10%, 30%) of statements in pg_stat_statements whose mean exceeds `slow_ms` (100 ms), and the five
    slowest."""

    kind: ClassVar[str] = "postgres_statements"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    slow_ms: float | None = None
    """A statement is slow when its mean execution time exceeds so many milliseconds."""
    required: bool | None = None
    """True: a missing extension is degraded. False: the check is then skipped, saying how to get it."""
    thresholds: Thresholds | None = None
    """Share of slow statements, in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresConnections(Spec):
    """The share (70%, 90%) of the server's usable connections that this database takes."""

    kind: ClassVar[str] = "postgres_connections"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    thresholds: Thresholds | None = None
    """Share of the usable connections that is taken, in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaterializedViews(Spec):
    """The named materialized views exist and are populated."""

    kind: ClassVar[str] = "materialized_views"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    views: Sequence[str]
    """Names, with or without their schema."""
