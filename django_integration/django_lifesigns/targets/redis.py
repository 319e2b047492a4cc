"""From a cache's settings to the Redis server behind it, read as django's backend, django-redis and redis-py do."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from django_lifesigns.targets.context import WrongTargetError
from lifesigns import specs

SCHEMES = ("redis", "rediss", "unix")
TLS_OPTIONS = frozenset(["ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
# Of the client library, and without influence on which server is reached.
OPTIONS_WITHOUT_EFFECT = frozenset(
    [
        "pool_class",
        "parser_class",
        "serializer",
        "socket_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_keepalive_options",
        "socket_read_size",
        "retry",
        "retry_on_timeout",
        "retry_on_error",
        "health_check_interval",
        "max_connections",
        "timeout",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "protocol",
        "client_name",
        "lib_name",
        "lib_version",
    ]
)


def is_redis(backend: str) -> bool:
    """Whether a cache backend is Django's or django-redis's, or derived from one of them."""
    try:
        lineage = import_string(backend).__mro__
    except Exception as error:  # whatever its module raises when it is imported
        raise WrongTargetError(f"the cache backend {backend!r} cannot be imported") from error
    modules = {parent.__module__ for parent in lineage}
    return not modules.isdisjoint({"django.core.cache.backends.redis", "django_redis.cache"})


def redis_of(cache: Mapping[str, Any], where: str) -> tuple[specs.Redis, set[str]]:
    """The Redis server to which such a cache writes, and the options that do not go into it."""
    location = cache.get("LOCATION") or ""
    url = str((re.split("[;,]", location) if isinstance(location, str) else list(location) or [""])[0])
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise WrongTargetError(f"{where}['LOCATION'] must begin with redis://, rediss:// or unix://")
    options = _client_options(cache.get("OPTIONS") or {})
    sentinel = _sentinel(options)
    in_url = parse_qs(parts.query)
    # What stands in the URL comes before the options, as in redis-py.
    fields: dict[str, Any] = dict(sentinel)
    for key in ("username", "password"):
        value = options.pop(key, None)
        if value and key not in in_url and not getattr(parts, key):
            fields[key] = str(value)
    database = options.pop("db", None)
    if database is not None and "db" not in in_url and (parts.scheme == "unix" or not parts.path.strip("/")):
        url += f"{'&' if parts.query else '?'}db={database}"
    tls = {key: options.pop(key) for key in TLS_OPTIONS & options.keys()}
    if tls and parts.scheme == "rediss" and TLS_OPTIONS.isdisjoint(in_url):
        fields["tls"] = _tls(tls)
    return specs.Redis(url=url, **fields), options.keys() - OPTIONS_WITHOUT_EFFECT


def _client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for the client, in redis-py's words: django-redis has them in capitals and in an inner dict."""
    found = {key: value for key, value in options.items() if key.islower()}
    for key in ("USERNAME", "PASSWORD", "SENTINELS", "SENTINEL_KWARGS"):
        if key in options:
            found[key.lower()] = options[key]
    classes = (str(options.get(key, "")) for key in ("REDIS_CLIENT_CLASS", "CLIENT_CLASS"))
    found["cluster"] = any("cluster" in name.lower() for name in classes)
    return found | dict(options.get("CONNECTION_POOL_KWARGS") or {})


def _sentinel(options: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"cluster": True} if options.pop("cluster") else {}
    sentinels = options.pop("sentinels", None)
    credentials = options.pop("sentinel_kwargs", None) or {}
    if sentinels:
        found["sentinels"] = [f"{host}:{port}" for host, port in sentinels]
        found |= {f"sentinel_{key}": credentials[key] for key in ("username", "password") if credentials.get(key)}
    return found


def _tls(options: Mapping[str, Any]) -> specs.Tls:
    required = options.get("ssl_cert_reqs", "required")
    verify: Literal["full", "chain", "nothing"] = "full" if options.get("ssl_check_hostname", True) else "chain"
    if required in (None, "none", "CERT_NONE", ssl.CERT_NONE):
        verify = "nothing"
    files = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    return specs.Tls(verify=verify, **{field: options[key] for field, key in files.items() if options.get(key)})


def same_server(alias: str, server: specs.Redis) -> bool:
    """Return whether a cache is on this Redis server, in whichever of its databases."""
    cache = settings.CACHES[alias]
    try:
        if not is_redis(cache["BACKEND"]):
            return False
        found, _ = redis_of(cache, f"CACHES[{alias!r}]")
        return _place(found) == _place(server)
    except ValueError:  # what is wrong is said by the check of the server
        return False


def _place(server: specs.Redis) -> tuple[object, ...]:
    parts = urlsplit(server.url)
    path = parts.path if parts.scheme == "unix" else ""
    return parts.hostname, parts.port or 6379, path, server.sentinels, server.master, server.cluster
