"""What checks in Python import when they run: modules by the settings that name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from django.conf import settings
from django.utils.module_loading import import_string

CHECKS = "django_lifesigns.checks"
# They import nothing when they are used.
BUILT_IN = frozenset(
    [
        "django.core.cache.backends.locmem.LocMemCache",
        "django.core.cache.backends.dummy.DummyCache",
        "django.core.cache.backends.db.DatabaseCache",
        "django.core.cache.backends.filebased.FileBasedCache",
    ]
)
# What a cache backend, or one derived from it, imports when it is made or first used.
CLIENTS = {
    "django.core.cache.backends.redis.RedisCache": ("redis",),
    "django.core.cache.backends.memcached.PyMemcacheCache": ("pymemcache", "pymemcache.serde"),
    "django.core.cache.backends.memcached.PyLibMCCache": ("pylibmc",),
    "django_redis.cache.RedisCache": (
        "redis",
        "django_redis.client",
        "django_redis.compressors.identity",
        "django_redis.serializers.pickle",
    ),
    "django_valkey.base.BaseValkeyCache": ("valkey",),
}
# What a storage imports when it is first used.
STORAGE_CLIENTS = {"storages.backends.s3.S3Storage": ("boto3.s3.inject", "encodings.idna")}
# Options of a cache that name a class or a function by its dotted path.
DOTTED = ("CLASS", "SERIALIZER", "COMPRESSOR", "KEY_FUNCTION")
CELERY = (
    "celery.app.amqp",
    "celery.app.base",
    "celery.app.control",
    "celery.loaders.app",
    "celery.loaders.default",
    "celery.utils.deprecated",
    "kombu.connection",
    "kombu.pools",
)


def imports(check: object) -> tuple[str, ...]:
    """Return the modules that a check imports when it runs, for `Engine.register`."""
    while isinstance(check, partial):
        check = check.func
    if not type(check).__module__.startswith(CHECKS):
        return ()
    with suppress(Exception):  # whatever a backend's module raises when it is imported
        return tuple(getattr(check, "imports", ()))
    return ()


def cache_modules(alias: str) -> Iterator[str]:
    """Yield what a cache imports when it is made or first used."""
    cache = settings.CACHES.get(alias) or {}
    backend = str(cache.get("BACKEND", ""))
    if backend in BUILT_IN:
        return
    yield module_of(backend)
    given = cache.get("OPTIONS") or {}
    for key, value in {**cache, **given, **(given.get("CONNECTION_POOL_KWARGS") or {})}.items():
        if str(key).upper().endswith(DOTTED) and isinstance(value, str) and "." in value:
            yield module_of(value)
    for parent in import_string(backend).__mro__:
        yield from CLIENTS.get(f"{parent.__module__}.{parent.__qualname__}", ())


def channel_modules(alias: str) -> Iterator[str]:
    """Yield what a channel layer imports when it is made or first used."""
    layer = (getattr(settings, "CHANNEL_LAYERS", None) or {}).get(alias)
    if layer:
        yield "channels.layers"
        yield module_of(str(layer["BACKEND"]))


def storage_modules(alias: str) -> Iterator[str]:
    """Yield what a storage imports when it is made or first used."""
    backend = str(settings.STORAGES[alias]["BACKEND"])
    yield module_of(backend)
    for parent in import_string(backend).__mro__:
        yield from STORAGE_CLIENTS.get(f"{parent.__module__}.{parent.__qualname__}", ())


def celery_modules() -> Iterator[str]:
    """Yield what Celery imports to reach its broker, as the URL of the settings names it."""
    yield from CELERY
    from kombu.transport import TRANSPORT_ALIASES

    url = getattr(settings, "CELERY_BROKER_URL", None) or ()
    for one in url.split(";") if isinstance(url, str) else url:
        transport = TRANSPORT_ALIASES.get(str(one).partition("://")[0])
        if isinstance(transport, str):
            yield transport.partition(":")[0]


def module_of(path: str) -> str:
    """Return the module of a dotted path."""
    return path.rpartition(".")[0] or path
