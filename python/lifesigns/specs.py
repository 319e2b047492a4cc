"""What the engine can check natively, as immutable values: one class for each kind, named and typed as in src/spec.rs.

Every class is keyword-only. A field left at `None` is left to the engine's default. Percentages run from 0 to 100,
times are in seconds unless the name says otherwise. Secrets are never part of a `repr`. Wrong values are found by
`Engine.register`, which raises `ValueError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from os import PathLike, fspath
from typing import ClassVar, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

StrPath = str | PathLike[str]


class Value:
    """Part of a specification."""

    __slots__ = ()

    def to_dict(self) -> dict[str, object]:
        """Plain data for the engine; what is `None` is left out."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in values.items() if value is not None}


class Spec(Value):
    """A native check: what is to be checked, without how often or how long."""

    __slots__ = ()
    kind: ClassVar[str]

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind, **super().to_dict()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds(Value):
    """Above which measured value a result is degraded, and above which it is an error."""

    degraded_above: float
    error_above: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker(Value):
    """A circuit breaker. It opens after `failures` in a row (3), or when `failure_rate` or `slow_call_rate` (0 to 1)
    of the last `window_calls` (20) calls within `window` (600 s) failed or took longer than `slow_call` (1 s), but
    not before `minimum_calls` (10). It stays open for `wait` (30 s), doubled with each failed trial up to `max_wait`
    (600 s)."""

    failures: int | None = None
    failure_rate: float | None = None
    slow_call_rate: float | None = None
    slow_call: float | None = None
    window_calls: int | None = None
    window: float | None = None
    minimum_calls: int | None = None
    wait: float | None = None
    max_wait: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls(Value):
    """How a server is trusted: its chain and name ("full"), its chain, or nothing. PEM files: `ca` (default: the
    system's certificates), `cert` and `key` of the client."""

    verify: Literal["full", "chain", "nothing"] | None = None
    ca: StrPath | None = None
    cert: StrPath | None = None
    key: StrPath | None = None


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


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTables(Spec):
    """The tables of the task queue `backend` exist. Unless `required` (True), none of them existing is skipped."""

    kind: ClassVar[str] = "task_tables"
    server: PostgresServer
    backend: str
    tables: Sequence[str]
    required: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingTasks(Spec):
    """The depth of the deepest queue (100, 500). `sql` reads `tables` and returns queue, depth and the oldest task's
    time for each queue."""

    kind: ClassVar[str] = "pending_tasks"
    server: PostgresServer
    sql: str
    tables: Sequence[str]
    required: bool | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTasks(Spec):
    """Failures (5, 20) within `window_minutes` (60). `sql` counts them; `{since}` in it is the window's start."""

    kind: ClassVar[str] = "failed_tasks"
    server: PostgresServer
    sql: str
    tables: Sequence[str]
    required: bool | None = None
    window_minutes: int | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskWorkers(Spec):
    """Workers seen within `heartbeat_window_minutes` (5), against `expected_workers` (1). `sql` counts them;
    `{since}` in it is the window's start."""

    kind: ClassVar[str] = "task_workers"
    server: PostgresServer
    sql: str
    tables: Sequence[str]
    required: bool | None = None
    heartbeat_window_minutes: int | None = None
    expected_workers: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Redis(Spec):
    """`PING` and `INFO` of the Redis server at a `redis://`, `rediss://` or `unix://` URL. With `cluster`, also the
    state of the cluster it belongs to; with `sentinels` ("host:port", 26379), of the server that they call `master`
    (default: the URL's host). User and password here come before those in the URL."""

    kind: ClassVar[str] = "redis"
    url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    cluster: bool | None = None
    sentinels: Sequence[str] | None = None
    master: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mqtt(Spec):
    """The MQTT broker (port 1883, with `tls` 8883) accepts the credentials; with `round_trip_topic`, a message
    published below it comes back."""

    kind: ClassVar[str] = "mqtt"
    host: str
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    protocol: Literal["3.1.1", "5"] | None = None
    round_trip_topic: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Smtp(Spec):
    """The SMTP server (port 25, with `security` "starttls" 587, "tls" 465) accepts the credentials; sends no mail."""

    kind: ClassVar[str] = "smtp"
    host: str
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal["none", "starttls", "tls"]
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Http(Spec):
    """A `GET` of `url` is answered with `expect_status` (200)."""

    kind: ClassVar[str] = "http"
    url: str = field(repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    expect_status: int | None = None
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleMaps(Spec):
    """Google's geocoding API answers and accepts the key."""

    kind: ClassVar[str] = "google_maps"
    api_key: str = field(repr=False)
    base_url: str | None = None
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAI(Spec):
    """OpenAI's API (or one that speaks it, at `base_url` with its version: ".../v1") accepts the key."""

    kind: ClassVar[str] = "openai"
    api_key: str = field(repr=False)
    base_url: str | None = None
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Anthropic(Spec):
    """Anthropic's API (or one that speaks it, at `base_url` without a version) accepts the key."""

    kind: ClassVar[str] = "anthropic"
    api_key: str = field(repr=False)
    base_url: str | None = None
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tcp(Spec):
    """A TCP connection, and with `tls` a handshake, succeeds."""

    kind: ClassVar[str] = "tcp"
    host: str
    port: int
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk(Spec):
    """The share (80 %, 90 %) of space and of inodes in use where the paths are."""

    kind: ClassVar[str] = "disk"
    paths: Sequence[StrPath]
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory(Spec):
    """The share (80 %, 90 %) of the host's or the cgroup's memory in use, whichever is smaller."""

    kind: ClassVar[str] = "memory"
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cpu(Spec):
    """The one-minute load average per available CPU (0.7, 0.9)."""

    kind: ClassVar[str] = "cpu"
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(Value):
    """A directory in which a file can be written; if not, an error where `critical` (True), else degraded."""

    path: StrPath
    critical: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Directories(Spec):
    """Directories by the name under which they stand in the details."""

    kind: ClassVar[str] = "directories"
    directories: Mapping[str, Directory]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat(Spec):
    """Something said `lifesigns.beat(name)` within the last `max_age` seconds, in this process or, where the engine
    has ``share="host"``, in any that shares its store."""

    kind: ClassVar[str] = "heartbeat"
    name: str
    max_age: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped(Spec):
    """Always skipped, for this reason."""

    kind: ClassVar[str] = "skipped"
    reason: str


def _plain(value: object) -> object:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
