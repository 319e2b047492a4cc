"""From `CACHES` to the checks of Redis and of the caches themselves."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.kinds import Check
from django_lifesigns.checks.redis import RedisClient
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from django_lifesigns.targets.redis import backend_of, has_provider, has_replicas, is_redis, lineage_of, redis_of

DUMMY = "django.core.cache.backends.dummy.DummyCache"
# What they keep is in this process or on this host, and no server can be down.
LOCAL = frozenset([DummyCache, FileBasedCache, LocMemCache])


def redis(search: DiscoveryContext) -> Check:
    """Check 4."""
    try:
        found = is_redis("default")
    except (WrongTargetError, KeyError) as error:
        raise NoTargetError("CACHES['default'] cannot be read: see the check default_cache") from error
    if not found:
        raise NoTargetError("use a Redis cache in CACHES['default'] to check Redis")
    if has_provider("default"):
        return RedisClient(alias="default")
    server, ignored = redis_of(settings.CACHES["default"], "CACHES['default']")
    search.in_part("CACHES['default']['OPTIONS']", ignored)
    return server


def default_cache(search: DiscoveryContext) -> Check:
    """Check 5."""
    return _round_trip("default", search)


def select2_cache(search: DiscoveryContext) -> Check:
    """Check 11."""
    return _round_trip("select2", search, search.conf.materialized_views)


def of_alias(search: DiscoveryContext, alias: str) -> Check:
    """Set, read back and delete a key of one cache, whichever it is."""
    return _round_trip(alias, search)


def aliases() -> list[str]:
    """Return the aliases of `CACHES`."""
    return list(settings.CACHES) if isinstance(settings.CACHES, Mapping) else []


def is_remote(alias: str) -> bool:
    """Return whether a cache is on a server, as is taken of one whose backend cannot be read."""
    try:
        return LOCAL.isdisjoint(lineage_of(alias))
    except WrongTargetError:
        return True


def _round_trip(alias: str, search: DiscoveryContext, views: tuple[str, ...] = ()) -> CacheRoundTrip:
    # That all of it is wrong is said by one check.
    if alias not in (settings.CACHES if isinstance(settings.CACHES, Mapping) else ["default"]):
        raise NoTargetError(f"set CACHES[{alias!r}] to check this cache")
    if backend_of(alias) == DUMMY:
        raise NoTargetError(f"CACHES[{alias!r}] is the dummy cache, which keeps nothing")
    # What is wrong with a LOCATION is said by the check of the server.
    lag = search.timeout / 2 if is_redis(alias) and _lags(alias) else 0.0
    return CacheRoundTrip(alias=alias, views=views, lag=lag)


def _lags(alias: str) -> bool:
    try:
        return has_replicas(alias)
    except WrongTargetError:
        return False
