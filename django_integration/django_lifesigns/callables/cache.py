"""A round trip through Django's cache framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from django.conf import settings
from django.core.cache import caches
from django.db import connection

SECONDS_KEPT = 60
VIEWS_SQL = "SELECT matviewname FROM pg_matviews WHERE ispopulated AND matviewname = ANY(%s)"


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheRoundTrip:
    """A unique key set, read back and deleted; `views` are materialized views that a cache is filled from."""

    alias: str
    views: Sequence[str] = ()

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
        cache = caches[self.alias]
        cache.set(key, value, SECONDS_KEPT)
        try:
            return bool(cache.get(key) == value)
        finally:
            cache.delete(key)

    def _missing_views(self) -> list[str]:
        if not self.views:
            return []
        if connection.vendor != "postgresql":
            return list(self.views)
        with connection.cursor() as cursor:
            cursor.execute(VIEWS_SQL, [list(self.views)])
            found = {name for (name,) in cursor.fetchall()}
        return [name for name in self.views if name not in found]
