"""From a cache's settings to the Redis server behind it, read as Django's backend, django-redis and their like do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.redis_options import (
    PROVIDER,
    TLS_OPTIONS,
    WITHOUT_EFFECT,
    client_options,
    is_encrypted,
    sentinel_fields,
    tls_of,
)
from lifesigns import specs

SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix")
ENCRYPTED = {"redis": "rediss", "valkey": "valkeys"}
# What redis-py takes for false in a URL; in options even the text "False" is true.
FALSE = frozenset(["0", "F", "FALSE", "N", "NO"])
DJANGO = "django.core.cache.backends.redis"
# Modules of the backends, or of what they are derived from.
BACKENDS = frozenset([DJANGO, "django_redis.cache", "django_valkey.cache", "django_valkey.base"])


def backend_of(alias: str) -> str:
    """Return the backend of a cache; `WrongTargetError` if it has none that can be imported."""
    caches = settings.CACHES
    if not isinstance(caches, Mapping):
        raise WrongTargetError("CACHES must be a dict of dicts")
    cache, where = caches[alias], f"CACHES[{alias!r}]"
    if not isinstance(cache, Mapping):
        raise WrongTargetError(f"{where} must be a dict")
    backend = cache.get("BACKEND")
    if not backend or not isinstance(backend, str):
        raise WrongTargetError(f"{where} needs a BACKEND, the dotted path of a class")
    _lineage(backend, where)
    return backend


def is_redis(alias: str) -> bool:
    """Return whether a cache is on Redis or Valkey, as far as its backend shows."""
    return not BACKENDS.isdisjoint(parent.__module__ for parent in lineage_of(alias))


def lineage_of(alias: str) -> Sequence[type]:
    """Return the class of a cache's backend and those that it is derived from; `WrongTargetError` if it has none."""
    return _lineage(backend_of(alias), f"CACHES[{alias!r}]")


def has_provider(alias: str) -> bool:
    """Return whether the client of a cache makes its password at each login."""
    return bool(_options(settings.CACHES[alias], f"CACHES[{alias!r}]").get(PROVIDER))


def has_replicas(alias: str) -> bool:
    """Return whether a cache may read from another server than it writes to."""
    cache, where = settings.CACHES[alias], f"CACHES[{alias!r}]"
    options = _options(cache, where)
    return len(_locations(cache, where)) > 1 or bool(options.get("sentinels")) or options["cluster"]


def redis_of(cache: Mapping[str, Any], where: str) -> tuple[specs.Redis, set[str]]:
    """Return the Redis server to which such a cache writes, and the options that do not go into it."""
    url, *others = _locations(cache, where)
    if urlsplit(url).scheme not in SCHEMES or url != url.lstrip():
        raise WrongTargetError(f"{where}['LOCATION'] must begin with redis://, rediss://, valkey:// or unix://")
    url = _as_read(url)
    parts = urlsplit(url)
    if parts.netloc != parts.netloc.strip():
        raise WrongTargetError(f"{where}['LOCATION'] must have no white space beside its host and port")
    options = _options(cache, where)
    in_url = parse_qs(parts.query)
    fields = sentinel_fields(options)
    if options.pop("cluster"):
        fields |= {"cluster": True, "nodes": [_node(other) for other in others] or None}
    # What stands in the URL comes before the options, as in redis-py.
    for key in ("username", "password"):
        value = options.pop(key, None)
        if value and key not in in_url and not getattr(parts, key):
            fields[key] = str(value)
    database = options.pop("db", None)
    if database is not None and "db" not in in_url and (parts.scheme == "unix" or not parts.path.strip("/")):
        url += f"{'&' if parts.query else '?'}db={database}"
    if is_encrypted(options) and parts.scheme in ENCRYPTED:
        url = f"{ENCRYPTED[parts.scheme]}{url[len(parts.scheme) :]}"
    tls = {key: options.pop(key) for key in TLS_OPTIONS & options.keys()}
    if tls and urlsplit(url).scheme in ENCRYPTED.values():
        tls |= {key: in_url[key][0] for key in TLS_OPTIONS & in_url.keys()}
        if "ssl_check_hostname" in in_url:
            tls["ssl_check_hostname"] = tls["ssl_check_hostname"].upper() not in FALSE
        fields["tls"] = tls_of(tls)
    return specs.Redis(url=url, **fields), options.keys() - WITHOUT_EFFECT


def same_server(alias: str, server: specs.Redis) -> bool:
    """Return whether a cache is on this Redis server, in whichever of its databases."""
    try:
        if not is_redis(alias):
            return False
        found, _ = redis_of(settings.CACHES[alias], f"CACHES[{alias!r}]")
        return _place(found) == _place(server)
    except ValueError:  # what is wrong is said by the check of the server
        return False


def are_on(hosts: object, server: specs.Redis) -> bool:
    """Return whether all hosts of a channel layer, as channels_redis takes them, are this Redis server."""
    if not isinstance(hosts, (list, tuple)) or not hosts:
        return False
    addresses = [host.get("address") if isinstance(host, Mapping) else host for host in hosts]
    try:
        return all(_place(specs.Redis(url=_url(address))) == _place(server) for address in addresses)
    except ValueError:  # what is wrong is said by the check of the layer
        return False


def _url(address: object) -> str:
    if isinstance(address, (list, tuple)) and len(address) == 2:
        return "redis://{}:{}".format(*address)
    return str(address)


def _lineage(backend: str, where: str) -> Sequence[type]:
    try:
        return import_string(backend).__mro__  # type: ignore[no-any-return]
    except Exception as error:  # whatever its module raises when it is imported
        raise WrongTargetError(f"{where}: the cache backend {backend!r} cannot be imported") from error


def _options(cache: Mapping[str, Any], where: str) -> dict[str, Any]:
    options = cache.get("OPTIONS") or {}
    if not isinstance(options, Mapping):
        raise WrongTargetError(f"{where}['OPTIONS'] must be a dict")
    return client_options(options, str(cache.get("BACKEND", "")))


def _locations(cache: Mapping[str, Any], where: str) -> list[str]:
    """Return the URLs of a cache. Only Django's backend splits text at semicolons, too."""
    location = cache.get("LOCATION")
    if isinstance(location, str):
        return re.split("[;,]" if _splits_at_semicolons(cache, where) else ",", location)
    if isinstance(location, (list, tuple)) and location and all(isinstance(url, str) for url in location):
        return list(location)
    raise WrongTargetError(
        f"{where}['LOCATION'] must be a URL, or a list of URLs, that begin with redis:// or their like"
    )


def _splits_at_semicolons(cache: Mapping[str, Any], where: str) -> bool:
    backend = str(cache.get("BACKEND", ""))
    modules = [backend]
    with suppress(WrongTargetError):
        modules += [parent.__module__ for parent in _lineage(backend, where)]
    return not any(module.startswith(("django_redis.", "django_valkey.")) for module in modules)


def _as_read(url: str) -> str:
    """Return a URL without what redis-py passes over: a fragment, and a path that is no number of a database."""
    parts = urlsplit(url)
    # Without a host, it is a password that a '#' has cut off: an error that the server's check names.
    if parts.fragment and parts.hostname and "@" not in parts.fragment:
        url = url.partition("#")[0]
    if parts.scheme == "unix" or re.fullmatch(r"/?\d*", parts.path):
        return url
    try:
        path = f"/{int(unquote(parts.path).replace('/', ''))}"
    except ValueError:
        path = ""
    return url.replace(f"{parts.netloc}{parts.path}", f"{parts.netloc}{path}", 1)


def _node(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or 6379}"


def _place(server: specs.Redis) -> tuple[object, ...]:
    parts = urlsplit(server.url)
    path = parts.path if parts.scheme == "unix" else ""
    return parts.hostname, parts.port or 6379, path, server.sentinels, server.master, server.cluster
