"""A round trip through Django's cache framework."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.cache.backends.redis import RedisCache
from django.db import DEFAULT_DB_ALIAS, Error, connection, connections, router

from django_lifesigns.checks.connection_cache import ConnectionCache
from django_lifesigns.checks.imports import cache_modules
from django_lifesigns.checks.read_only import is_read_only
from django_lifesigns.checks.redis_errors import not_permitted
from django_lifesigns.checks.servers import cache_server
from lifesigns import CheckFailed

SECONDS_KEPT = 60
# Between two reads from a replica that has not got the value yet.
PAUSE_SECONDS = 0.05
VIEWS_SQL = "SELECT matviewname FROM pg_matviews WHERE ispopulated AND matviewname = ANY(%s)"


def open_cache(alias: str) -> BaseCache:
    """Return a cache of its own, which is not that of the thread."""
    cache = caches.create_connection(alias)
    if isinstance(cache, RedisCache):
        client: Any = cache._cache
        # Django makes a client of redis-py for each command, which takes half of the time of a round trip.
        client._client = lru_cache(maxsize=None)(client._client)
    return cache


def close_cache(cache: BaseCache) -> None:
    """Close a cache that is not used again, and its connections."""
    cache.close()
    if isinstance(cache, RedisCache):  # whose `close` does nothing: what it has open would wait for the collector
        for pool in cache._cache._pools.values():  # type: ignore[attr-defined]
            pool.disconnect()


# Not those of the thread, which is another at the next run: each would open a connection of its own.
_caches: ConnectionCache[BaseCache] = ConnectionCache(close_cache)


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheRoundTrip:
    """A unique key set, read back and deleted; `views` are materialized views that a cache is filled from.

    Where it may be read from a replica, that has `lag` seconds to get the value. A cache in a database that only reads,
    such as a standby, is read, which is all that the application can do with it there.
    """

    alias: str
    views: Sequence[str] = ()
    lag: float = 0.0

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        return cache_modules(self.alias)

    @property
    def server_address(self) -> str | None:
        """Return where it looks."""
        return cache_server(self.alias)

    def __call__(self) -> dict[str, object]:
        details: dict[str, object] = {"backend": settings.CACHES[self.alias]["BACKEND"]}
        try:
            seconds, deleted = self._round_trip()
        except Error as error:
            # Django's own database cache says nothing where it cannot write, but where it cannot delete.
            if not is_read_only(error):
                if table := _missing_table(self.alias):
                    text = f"Cache {self.alias!r} has no table {table!r}: `manage.py createcachetable` makes it"
                    raise CheckFailed(text) from error
                raise
            details["read_write_test"] = "read-only"
            message = f"Cache {self.alias!r} is read; its database is read-only"
            return {"status": "healthy", "message": message, "details": details}
        passed = seconds is not None
        details["read_write_test"] = "passed" if passed else "failed"
        if seconds:
            details["replica_lag_ms"] = round(seconds * 1000)
        if not deleted:
            details["delete_test"] = f"not permitted: the key expires within {SECONDS_KEPT} s"
        if not passed:
            message = f"Cache {self.alias!r} returned a different value than was written"
            return {"status": "error", "message": message, "details": details}
        if missing := self._missing_views():
            details["note"] = f"using fallback queries: {', '.join(missing)} missing or not populated"
            return {"status": "degraded", "message": "Materialized views are not usable", "details": details}
        return {"status": "healthy", "message": f"Cache {self.alias!r} reads and writes", "details": details}

    def _round_trip(self) -> tuple[float | None, bool]:
        """Return how many seconds later than at once the value could be read (None: never), and whether the key may be
        deleted."""
        # Unique: probes of many processes arrive at the same instant and must not delete each other's key.
        key, value = f"lifesigns:{uuid4().hex}", uuid4().hex
        with _caches.borrow(self.alias, partial(open_cache, self.alias)) as cache:
            cache.set(key, value, SECONDS_KEPT)
            deleted = False
            try:
                seconds = self._read(cache, key, value)
            finally:
                deleted = _delete(cache, key)
                # The backend's own word on what may stay open: Redis looks whether a connection is dead before it uses
                # it again, a memcached client would fail.
                cache.close()
        return seconds, deleted

    def _read(self, cache: BaseCache, key: str, value: str) -> float | None:
        started = time.monotonic()
        if cache.get(key) == value:
            return 0.0
        while time.monotonic() - started < self.lag:
            time.sleep(PAUSE_SECONDS)
            if cache.get(key) == value:
                return time.monotonic() - started
        return None

    def _missing_views(self) -> list[str]:
        if not self.views:
            return []
        if connection.vendor != "postgresql":
            return list(self.views)
        with connection.cursor() as cursor:
            cursor.execute(VIEWS_SQL, [list(self.views)])
            found = {name for (name,) in cursor.fetchall()}
        return [name for name in self.views if name not in found]


def _missing_table(alias: str) -> str | None:
    """Return the name of the table of a cache in a database, if there is none of that name."""
    with _caches.borrow(alias, partial(open_cache, alias)) as cache:
        if not isinstance(cache, BaseDatabaseCache):
            return None
        database = router.db_for_read(cache.cache_model_class)
        tables = connections[database or DEFAULT_DB_ALIAS].introspection.table_names()
        table: str = cache._table  # type: ignore[attr-defined]
        return None if table in tables else table


def _delete(cache: BaseCache, key: str) -> bool:
    """Delete a key; return False where this user may not: an ACL that allows get and set is enough for many caches."""
    try:
        cache.delete(key)
    except not_permitted():
        return False
    return True
