"""Which server a check in Python looks at, for the details of its errors: by the settings, and without credentials."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections, router
from django.utils.module_loading import import_string

CHECKS = "django_lifesigns.checks"
# Of these a port may be left out.
PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "valkeys": 6379,
    "amqp": 5672,
    "amqps": 5671,
}
HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?P<port>:\d{1,5})?")
# Between the URLs of one text; the password of a URL may have the character, too.
BETWEEN_URLS = re.compile(r"[;,]\s*(?=[a-z]+://)")
BETWEEN_HOSTS = re.compile(r"[;,]\s*")
LOCAL = (DummyCache, FileBasedCache, LocMemCache)
S3 = frozenset(["storages.backends.s3", "storages.backends.s3boto3"])


def server_of(check: object) -> str | None:
    """Return the server of a check, for `Engine.register`; None where there is none, or it is not clear."""
    while isinstance(check, partial):
        check = check.func
    if not type(check).__module__.startswith(CHECKS):  # a native check names its server by itself
        return None
    with suppress(Exception):  # whatever the settings are; what is wrong is said by the check
        return getattr(check, "server_address", None)
    return None


def place(address: object) -> str | None:
    """Return ``host:port`` or the path of a socket; None where a part of a password might be taken for one."""
    if isinstance(address, (list, tuple)) and len(address) == 2:
        host, port = address
        address = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    text = str(address)
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        scheme, rest = "", text.removeprefix("unix:")
        if rest.startswith("/") and "@" not in rest:
            return rest
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(host) :] or ("@" in host and not is_url):
        return None
    if scheme == "unix":
        return rest[len(host) :].partition("?")[0] or None
    host = host.rpartition("@")[2]
    found = HOST.fullmatch(host)
    if not found or not (is_url or found["port"]):
        return None
    port = PORTS.get(scheme)
    return f"{host}:{port}" if port and not found["port"] else host


def cache_server(alias: str) -> str | None:
    """Return the server of a cache, or those that it may write to."""
    cache = settings.CACHES[alias]
    if issubclass(import_string(cache["BACKEND"]), LOCAL):
        return None
    if database := cache_database(alias):
        return database_server(database)
    options = cache.get("OPTIONS") or {}
    sentinels = options.get("SENTINELS") or options.get("sentinels")
    return _joined(sentinels or _locations(cache.get("LOCATION")))


def cache_database(alias: str) -> str | None:
    """Return the alias of the database that has a cache's table; None where it is in none."""
    if not issubclass(import_string(settings.CACHES[alias]["BACKEND"]), DatabaseCache):
        return None
    model = caches.create_connection(alias).cache_model_class  # type: ignore[attr-defined]
    return router.db_for_write(model)


def layer_server(alias: str) -> str | None:
    """Return the server of a channel layer."""
    layer = settings.CHANNEL_LAYERS[alias]  # type: ignore[misc]  # Channels has it
    config = layer.get("CONFIG") or {}
    hosts = config.get("hosts") or config.get("host") or ()
    if not hosts and str(layer["BACKEND"]).startswith("channels_redis."):
        hosts = "redis://localhost"
    return _joined(_addresses([hosts] if isinstance(hosts, (str, Mapping)) else hosts))


def storage_server(alias: str) -> str | None:
    """Return the server of a storage: that of its options, or of S3."""
    entry = settings.STORAGES[alias]
    options = entry.get("OPTIONS") or {}
    endpoint = options.get("endpoint_url") or options.get("host")
    if any(parent.__module__ in S3 for parent in import_string(entry["BACKEND"]).__mro__):
        endpoint = endpoint or getattr(settings, "AWS_S3_ENDPOINT_URL", None) or os.environ.get("AWS_ENDPOINT_URL_S3")
        region = options.get("region_name") or getattr(settings, "AWS_S3_REGION_NAME", None)
        endpoint = endpoint or f"https://s3.{f'{region}.' if region else ''}amazonaws.com"
    return place(endpoint) if endpoint else None


def database_server(alias: str) -> str | None:
    """Return the server of a database that is on one."""
    configured = connections.settings[alias]
    host, port = configured.get("HOST"), configured.get("PORT")
    if not host:
        return None
    return place(host) or place((host, port)) or (place(f"x://{host}") if not port else None)


def _locations(location: object) -> Iterable[object]:
    if isinstance(location, str):
        return (BETWEEN_URLS if "://" in location else BETWEEN_HOSTS).split(location)
    return location if isinstance(location, (list, tuple)) else ()


def _addresses(hosts: Iterable[object]) -> Iterator[object]:
    """Yield the addresses of hosts as channels_redis takes them."""
    for host in hosts:
        if isinstance(host, Mapping):
            yield from host.get("sentinels") or [host.get("address")]
        else:
            yield host


def _joined(addresses: Iterable[object]) -> str | None:
    return ", ".join(filter(None, map(place, addresses))) or None
