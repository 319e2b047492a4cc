"""From what redis-py connects with to the Redis server of native checks; connects to nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django_lifesigns.targets.context import CannotCheckError
from django_lifesigns.targets.redis import redis_of
from django_lifesigns.targets.redis_options import PROVIDER, sentinel_fields, tls_of
from lifesigns import specs

PORT = 6379


def server_of(options: Mapping[str, Any], *, encrypted: bool = False) -> specs.RedisServer:
    """Return the server that redis-py reaches with these keywords; `path` is that of a Unix socket.

    With `sentinels` (pairs of host and port) and `master` it is the one that they name.
    """
    if options.get(PROVIDER):
        raise CannotCheckError("the client of the task queue makes its password at each login (credential_provider)")
    database = int(options.get("db") or 0)
    fields: dict[str, Any] = {key: str(options[key]) for key in ("username", "password") if options.get(key)}
    if path := options.get("path"):
        return specs.RedisServer(url=f"unix://{quote(path)}?db={database}", **fields)
    scheme = "rediss" if encrypted else "redis"
    if encrypted:
        fields["tls"] = tls_of({"ssl_check_hostname": _checks_host_names(), **options})
    if sentinels := options.get("sentinels"):
        fields |= sentinel_fields({"sentinels": sentinels, "sentinel_kwargs": options.get("sentinel_kwargs")})
        return specs.RedisServer(url=f"{scheme}:///{database}", master=str(options["master"]), **fields)
    host = str(options.get("host") or "localhost")
    host = f"[{host}]" if ":" in host else host
    return specs.RedisServer(url=f"{scheme}://{host}:{options.get('port') or PORT}/{database}", **fields)


def server_at(cache: Mapping[str, Any], where: str) -> specs.RedisServer:
    """Return the server that a cache with these settings writes to, written as `server_of` writes it."""
    found, _ = redis_of(cache, where)
    fields = {name: getattr(found, name) for name in specs.RedisServer.__dataclass_fields__}
    parts, query = urlsplit(found.url), parse_qs(urlsplit(found.url).query)
    if parts.hostname and query.keys() <= {"db"}:
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        database = query["db"][0] if query else parts.path.strip("/") or "0"
        fields["url"] = f"{parts.scheme}://{host}:{parts.port or PORT}/{database}"
        for key in ("username", "password"):
            fields[key] = fields[key] or unquote(getattr(parts, key) or "") or None
    return specs.RedisServer(**fields)


def server_of_pool(pool: Any) -> specs.RedisServer:
    """Return the server of a connection pool of redis-py."""
    from redis import SSLConnection

    options = dict(pool.connection_kwargs)
    if sentinel := getattr(pool, "sentinel_manager", None):
        # Without a connection of their own, sentinels are known by what their clients connect with.
        own = [client.connection_pool.connection_kwargs for client in sentinel.sentinels]
        options["sentinels"] = [(one["host"], one["port"]) for one in own]
        options["sentinel_kwargs"] = sentinel.sentinel_kwargs
        options["master"] = pool.service_name
    return server_of(options, encrypted=issubclass(pool.connection_class, SSLConnection))


def _checks_host_names() -> bool:
    """Return whether redis-py compares a certificate's name where nothing is said about it: since its version 6."""
    try:
        from redis import SSLConnection
    except ImportError:
        return True
    parameter = inspect.signature(SSLConnection.__init__).parameters.get("ssl_check_hostname")
    return bool(parameter.default) if parameter else True
