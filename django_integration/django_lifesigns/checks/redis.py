"""Redis through a cache's own client, where that makes its password at each login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.cache import BaseCache

from django_lifesigns.checks.cache import close_cache, open_cache
from django_lifesigns.checks.connection_cache import ConnectionCache
from django_lifesigns.checks.imports import cache_modules
from django_lifesigns.checks.redis_errors import not_permitted
from django_lifesigns.checks.servers import cache_server

SHOWN = {
    "redis_version": "redis_version",
    "uptime_in_seconds": "uptime_seconds",
    "connected_clients": "connected_clients",
    "used_memory_human": "used_memory_human",
}

_caches: ConnectionCache[BaseCache] = ConnectionCache(close_cache)


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisClient:
    """`PING` and `INFO`."""

    alias: str

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        return cache_modules(self.alias)

    @property
    def server_address(self) -> str | None:
        """Return where it looks."""
        return cache_server(self.alias)

    def __call__(self) -> dict[str, object]:
        with _caches.borrow(self.alias, partial(open_cache, self.alias)) as cache:
            client = _client(cache)
            client.ping()
            return {"status": "healthy", "message": "Connected", "details": _details(client)}


def _client(cache: Any) -> Any:
    # Django's backend has it under a private name; django-redis and django-valkey say `client`.
    return (cache.client if hasattr(cache, "client") else cache._cache).get_client(write=True)


def _details(client: Any) -> dict[str, object]:
    try:
        info = client.info()
    except not_permitted():  # a user that is logged in is connected; which commands it may send is up to the ACL
        return {"info": "not permitted"}
    return {shown: info[key] for key, shown in SHOWN.items() if key in info}
