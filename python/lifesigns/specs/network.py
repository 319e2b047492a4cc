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
class AmqpServer(Value):
    """One AMQP broker: its `url`, or `host` and the other fields."""

    url: str | None = field(default=None, repr=False)
    """`amqp://user:password@host:port/vhost`, or `amqps://` for TLS. The default virtual host is `/`; one with a
    slash in its name is written `%2F`."""
    host: str | None = None
    """In place of `url`, or before what it says."""
    port: int | None = None
    """Default 5672, with TLS 5671."""
    username: str | None = None
    """Default `guest`."""
    password: str | None = field(default=None, repr=False)
    vhost: str | None = None
    """Default `/`."""
    tls: Tls | None = None
    """`None`: TLS only with `amqps://`."""
    login: Literal["plain", "external"] | None = None


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
    url: str | None = field(default=None, repr=False)
    """`mqtt://` or `mqtts://` (with TLS), with user and password. What the other fields say comes before it."""
    host: str | None = None
    """Required without `url`."""
    port: int | None = None
    """Default 1883, with TLS 8883; over websockets 80, with TLS 443."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    """`None`: no TLS, unless the URL says so."""
    alpn: Sequence[str] | None = None
    """Application protocols to offer in the TLS handshake: `x-amzn-mqtt-ca` for AWS IoT on port 443."""
    transport: Literal["tcp", "websockets"] | None = None
    path: str | None = field(default=None, repr=False)
    """Path, and query, of the websocket. Default `/mqtt`."""
    protocol: Literal["3.1.1", "5"] | None = None
    round_trip_topic: str | None = None
    """Publish below this topic and receive it back, e.g. `lifesigns/`; a unique name is appended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Amqp(Spec):
    """An AMQP 0-9-1 broker, such as RabbitMQ, accepts the credentials and opens the virtual host; the messages and
    consumers of `queues` are counted."""

    kind: ClassVar[str] = "amqp"
    url: str | None = field(default=None, repr=False)
    """`amqp://user:password@host:port/vhost`, or `amqps://` for TLS. The default virtual host is `/`; one with a
    slash in its name is written `%2F`."""
    host: str | None = None
    """In place of `url`, or before what it says."""
    port: int | None = None
    """Default 5672, with TLS 5671."""
    username: str | None = None
    """Default `guest`."""
    password: str | None = field(default=None, repr=False)
    vhost: str | None = None
    """Default `/`."""
    tls: Tls | None = None
    """`None`: TLS only with `amqps://`."""
    login: Literal["plain", "external"] | None = None
    """By user and password, or by the client certificate of `tls`."""
    fallbacks: Sequence[AmqpServer] | None = None
    """Brokers of which one has to answer, where the first does not."""
    queues: Sequence[str] | None = None
    """Queues whose messages and consumers are counted. They are not made."""
    missing_queue: Literal["detail", "degraded", "error"] | None = None
    """What it means that one of `queues` does not exist."""
    publish: bool | None = None
    """Publish a message that no queue takes, and wait until it is returned: a broker that is short of memory or disk
    accepts connections, and blocks the clients that publish."""
    task_queue: str | None = None
    """The name of the task queue whose broker it is, which the details then show as `backend`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Smtp(Spec):
    """The SMTP server (port 25, with `security` "starttls" 587, "tls" 465) accepts the credentials; sends no mail."""

    kind: ClassVar[str] = "smtp"
    url: str | None = field(default=None, repr=False)
    """`smtp://`, `smtps://` (TLS from the first byte, as `submissions://`) or `submission://` (STARTTLS), with user
    and password. What the other fields say comes before it."""
    host: str | None = None
    """Required without `url`."""
    port: int | None = None
    """Default 25, 587 (starttls) or 465 (tls)."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal["none", "starttls", "tls"] | None = None
    """Required without `url`, and for `smtp://` with a password, which does not say whether to encrypt it."""
    local_hostname: str | None = None
    """The name to greet with (EHLO). Default: the address of this end of the connection."""
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Http(Spec):
    """A request of `url` is answered with `expect_status` (200), and the answer meets the conditions."""

    kind: ClassVar[str] = "http"
    url: str = field(repr=False)
    """`http://` or `https://`, with user and password where the server wants basic authentication."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] | None = None
    """Default `GET`. `POST` and `PATCH` are sent once, over a new connection."""
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    """Sent as UTF-8, without a `Content-Type` unless `headers` name one."""
    expect_status: int | str | Sequence[int | str] | None = None
    """Default 200. A status, a range such as `"200-299"`, or a list of them."""
    text: str | None = None
    """A text that the body must contain."""
    no_text: str | None = None
    """A text that the body must not contain."""
    json: Mapping[str, object] | None = None
    """Expected values by JSON pointer: `{"/status": "ok", "/queue/depth": {"$lt": 100}}`, with the operators `$gt`,
    `$gte`, `$lt`, `$lte` and `$ne`."""
    certificate_days: int | None = None
    """Degraded while a server's certificate is valid for fewer days than this: of redirects that are followed, each
    server's. Default: not checked."""
    follow_redirects: int | None = None
    """How many redirects are followed, 20 at most. Default 0: a redirect is an answer."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Dns(Spec):
    """A name server knows records of `name`, among them those that are `expected`."""

    kind: ClassVar[str] = "dns"
    name: str
    """A full domain name: no search domain is appended. For `PTR` also an address."""
    record_type: Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"] | None = None
    """Default `A`."""
    expected: Sequence[str] | None = None
    """Records that must be among the answers, as a zone file writes them, such as `10 mail.example.org` for `MX`.
    Others beside them are fine. Default: any answer will do."""
    server: str | None = None
    """`host` or `host:port` of the name server. Default: those of `/etc/resolv.conf`, the next where one fails."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsCertificate(Spec):
    """The server's certificate is trusted, valid for its name, and valid for some time: fewer than `degraded_days`
    (30) are degraded, fewer than `error_days` (7) an error."""

    kind: ClassVar[str] = "tls_certificate"
    host: str
    port: int | None = None
    """Default 443; with `starttls` 587 (smtp), 143 (imap), 110 (pop3) or 5432 (postgres)."""
    server_name: str | None = None
    """The name that is sent to the server, and that the certificate must be valid for. Default: `host`."""
    degraded_days: int | None = None
    error_days: int | None = None
    starttls: Literal["smtp", "imap", "pop3", "postgres"] | None = None
    """The protocol that starts TLS by a command. Default: TLS starts with the first byte."""
    tls: Tls | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grpc(Spec):
    """A gRPC server reports by `grpc.health.v1.Health/Check` that it, or one of its services, is serving."""

    kind: ClassVar[str] = "grpc"
    host: str
    port: int
    service: str | None = None
    """The full name of a service, such as `shop.v1.Orders`. Default: the server as a whole."""
    metadata: Mapping[str, str] | None = field(default=None, repr=False)
    """Sent with the call, such as `{"authorization": "Bearer ..."}`."""
    tls: Tls | None = None
    """`None`: no TLS."""
