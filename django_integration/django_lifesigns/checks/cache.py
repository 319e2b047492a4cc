"""A round trip through Django's cache framework."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.core.cache.backends.redis import RedisCache
from django.db import connection

from django_lifesigns.checks.connection_cache import ConnectionCache
from django_lifesigns.checks.imports import cache_modules

SECONDS_KEPT = 60
VIEWS_SQL = "SELECT matviewname FROM pg_matviews WHERE ispopulated AND matviewname = ANY(%s)"


def _open(alias: str) -> BaseCache:
    cache = caches.create_connection(alias)
    if isinstance(cache, RedisCache):
        client: Any = cache._cache
        # Django makes a client of redis-py for each command, which takes half of the time of a round trip.
        client._client = lru_cache(maxsize=None)(client._client)
    return cache


def _close(cache: BaseCache) -> None:
    cache.close()
    if isinstance(cache, RedisCache):  # whose `close` does nothing: what it has open would wait for the collector
        for pool in cache._cache._pools.values():  # type: ignore[attr-defined]
            pool.disconnect()


# Not those of the thread, which is another at the next run: each would open a connection of its own.
_caches: ConnectionCache[BaseCache] = ConnectionCache(_close)


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheRoundTrip:
    """A unique key set, read back and deleted; `views` are materialized views that a cache is filled from."""

    alias: str
    views: Sequence[str] = ()

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        return cache_modules(self.alias)

    def __call__(self) -> dict[str, object]:
        passed = self._round_trip()
        details: dict[str, object] = {
            "backend": settings.CACHES[self.alias]["BACKEND"],
            "read_write_test": "passed" if passed else "failed",
        }
        if not passed:
            message = f"Cache {self.alias!r} does not give back what was stored"
            return {"status": "error", "message": message, "details": details}
        if missing := self._missing_views():
            details["note"] = f"using fallback queries: {', '.join(missing)} missing or not populated"
            return {"status": "degraded", "message": "Materialized views are not usable", "details": details}
        return {"status": "healthy", "message": f"Cache {self.alias!r} reads and writes", "details": details}

    def _round_trip(self) -> bool:
        # Unique: probes of many processes arrive at the same instant and must not delete each other's key.
        key, value = f"lifesigns:{uuid4().hex}", uuid4().hex
        with _caches.borrow(self.alias, partial(_open, self.alias)) as cache:
            cache.set(key, value, SECONDS_KEPT)
            try:
                return bool(cache.get(key) == value)
            finally:
                cache.delete(key)
                # The backend's own word on what may stay open: Redis looks whether a connection is dead before it uses
                # it again, a memcached client would fail.
                cache.close()

    def _missing_views(self) -> list[str]:
        if not self.views:
            return []
        if connection.vendor != "postgresql":
            return list(self.views)
        with connection.cursor() as cursor:
            cursor.execute(VIEWS_SQL, [list(self.views)])
            found = {name for (name,) in cursor.fetchall()}
        return [name for name in self.views if name not in found]
