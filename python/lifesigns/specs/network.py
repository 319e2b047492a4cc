"""What is checked over the network, PostgreSQL apart."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from lifesigns.specs.base import Spec, Value
from lifesigns.specs.tls import Tls


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisServer(Value):
    """The Redis server at a `redis://`, `rediss://` or `unix://` URL; with `cluster`, all nodes of the cluster it
    belongs to; with `sentinels`, the server that they call `master`."""

    url: str = field(repr=False)
    """`redis://`, `rediss://` or `unix://`, with user, password and database number as usual. With `sentinels` its
    host may be left out, or be the name of the master; `rediss://` then means the sentinels, too."""
    username: str | None = None
    """Before those of the URL."""
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    cluster: bool | None = None
    """The server is a node of a Redis Cluster, whose state is checked, too."""
    nodes: Sequence[str] | None = None
    """`host:port` of further nodes of the cluster (default port 6379): any of them will do. With them the URL's host
    may be left out."""
    sentinels: Sequence[str] | None = None
    """`host:port` of the sentinels that know the server's address. Default port 26379."""
    master: str | None = None
    """The name under which the sentinels know the master. Default: the URL's host."""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: Tls | None = None
    """TLS of the connections to the sentinels. Default: as the server's."""
    sentinel_encrypted: bool | None = None
    """Whether the sentinels speak TLS. Default: as the server does, or with `sentinel_tls` yes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Redis(Spec):
    """`PING` and `INFO` of the Redis server at a `redis://`, `rediss://` or `unix://` URL. With `cluster`, also the
    state of the cluster it belongs to; with `sentinels`, of the server that they call `master`."""

    kind: ClassVar[str] = "redis"
    url: str = field(repr=False)
    """`redis://`, `rediss://` or `unix://`, with user, password and database number as usual. With `sentinels` its
    host may be left out, or be the name of the master; `rediss://` then means the sentinels, too."""
    username: str | None = None
    """Before those of the URL."""
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    cluster: bool | None = None
    """The server is a node of a Redis Cluster, whose state is checked, too."""
    nodes: Sequence[str] | None = None
    """`host:port` of further nodes of the cluster (default port 6379): any of them will do. With them the URL's host
    may be left out."""
    sentinels: Sequence[str] | None = None
    """`host:port` of the sentinels that know the server's address. Default port 26379."""
    master: str | None = None
    """The name under which the sentinels know the master. Default: the URL's host."""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: Tls | None = None
    """TLS of the connections to the sentinels. Default: as the server's."""
    sentinel_encrypted: bool | None = None
    """Whether the sentinels speak TLS. Default: as the server does, or with `sentinel_tls` yes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mqtt(Spec):
    """The MQTT broker (port 1883, with `tls` 8883) accepts the credentials; with `round_trip_topic`, a message
    published below it comes back."""

    kind: ClassVar[str] = "mqtt"
    host: str
    port: int | None = None
    """Default 1883, with TLS 8883."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    """`None`: no TLS."""
    protocol: Literal["3.1.1", "5"] | None = None
    round_trip_topic: str | None = None
    """Publish below this topic and receive it back, e.g. `lifesigns/`; a unique name is appended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Smtp(Spec):
    """The SMTP server (port 25, with `security` "starttls" 587, "tls" 465) accepts the credentials; sends no mail."""

    kind: ClassVar[str] = "smtp"
    host: str
    port: int | None = None
    """Default 25, 587 (starttls) or 465 (tls)."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal["none", "starttls", "tls"]
    local_hostname: str | None = None
    """The name to greet with (EHLO). Default: the address of this end of the connection."""
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
    """Google's geocoding API accepts the key."""

    kind: ClassVar[str] = "google_maps"
    api_key: str = field(repr=False)
    base_url: str | None = None
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAI(Spec):
    """OpenAI's API, or one that speaks it at `base_url`, accepts the key."""

    kind: ClassVar[str] = "openai"
    api_key: str = field(repr=False)
    base_url: str | None = None
    """With the version, as OpenAI's own clients take it: `https://api.openai.com/v1`."""
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Anthropic(Spec):
    """Anthropic's API, or one that speaks it at `base_url`, accepts the key."""

    kind: ClassVar[str] = "anthropic"
    api_key: str = field(repr=False)
    base_url: str | None = None
    """Without the version, as Anthropic's own clients take it: `https://api.anthropic.com`."""
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tcp(Spec):
    """A TCP connection, and with `tls` a handshake, succeeds."""

    kind: ClassVar[str] = "tcp"
    host: str
    port: int
    tls: Tls | None = None
