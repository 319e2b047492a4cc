"""Imports, on the thread that loads the application, what the checks of this project would import when they run.

Checks run in parallel, and beside them the application imports on threads of its own. Two threads that import parts of
one package at once can leave it half made for the life of the process: then the application's own cache fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

CALLABLES = "django_lifesigns.callables"
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
    "django_valkey.cache.ValkeyCache": ("valkey",),
}
# Options of a cache that name a class or a function by its dotted path.
DOTTED = ("CLASS", "SERIALIZER", "COMPRESSOR", "KEY_FUNCTION")
CELERY = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.loaders.default",
    "celery.utils.deprecated",
    "kombu.connection",
    "kombu.pools",
)


def import_packages() -> None:
    """Import what the built-in checks and those named by a dotted path need, once in a process.

    What cannot be imported is left for its check to report.
    """
    if _imported:
        return
    _imported.append(True)
    raw = getattr(settings, "LIFESIGNS", None)
    options: Mapping[Any, Any] = raw if isinstance(raw, Mapping) else {}
    for name, modules in _CHECKS.items():
        with suppress(Exception):  # settings that are wrong are reported elsewhere
            if _is_enabled(name, options):
                _import_all(modules(options))
    with suppress(Exception):
        _import_all(_own_modules(options))


def imports(check: object) -> tuple[str, ...]:
    """Return the modules that a check imports when it runs, for `Engine.register`."""
    while isinstance(check, partial):
        check = check.func
    if not type(check).__module__.startswith(CALLABLES):
        return ()
    with suppress(Exception):  # whatever a backend's module raises when it is imported
        return tuple(getattr(check, "imports", ()))
    return ()


def cache_modules(alias: str) -> Iterator[str]:
    """Yield what a cache imports when it is made or first used."""
    cache = settings.CACHES.get(alias, {})
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


def _import_all(modules: Iterator[str]) -> None:
    for module in modules:
        with suppress(Exception):  # whatever a package raises when it is imported
            import_module(module)


def _is_enabled(name: str, options: Mapping[Any, Any]) -> bool:
    disabled, entry = options.get("DISABLED") or (), (options.get("CHECKS") or {}).get(name)
    return name not in disabled and not (isinstance(entry, Mapping) and entry.get("enabled") is False)


def _queue_modules(options: Mapping[Any, Any]) -> Iterator[str]:
    configured = options.get("TASK_QUEUE")
    # The two whose checks go through their own code; an installed app of theirs has imported them.
    if not (configured or getattr(settings, "CELERY_BROKER_URL", None) or {"celery", "django_q"} & sys.modules.keys()):
        return
    from django_lifesigns import task_queues

    queue = task_queues.configured(configured or task_queues.installed() or task_queues.DEFAULT)
    for check in queue.checks.values():
        yield from imports(check)


def _own_modules(options: Mapping[Any, Any]) -> Iterator[str]:
    for name, entry in (options.get("CHECKS") or {}).items():
        check = entry.get("check") if isinstance(entry, Mapping) else entry
        if isinstance(check, str) and _is_enabled(name, options):
            yield module_of(check)


_CHECKS: dict[str, Callable[[Mapping[Any, Any]], Iterator[str]]] = {
    "redis_connectivity": lambda _: cache_modules("default"),
    "default_cache": lambda _: cache_modules("default"),
    "select2_cache": lambda _: cache_modules("select2"),
    "channel_layer": lambda _: channel_modules("default"),
    "task_queue": _queue_modules,
    "pending_tasks": _queue_modules,
    "task_workers": _queue_modules,
}
_imported: list[bool] = []
