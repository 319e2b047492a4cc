"""From `CACHES` to the checks of Redis and of the caches themselves."""

from __future__ import annotations

from django.conf import settings

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError
from django_lifesigns.targets.redis import is_redis, redis_of
from lifesigns import specs

DUMMY = "django.core.cache.backends.dummy.DummyCache"


def redis(search: DiscoveryContext) -> Check:
    """Check 4."""
    cache = settings.CACHES["default"]
    if not is_redis(cache["BACKEND"]):
        raise NoTargetError("use a Redis cache in CACHES['default'] to check Redis")
    found, ignored = redis_of(cache, "CACHES['default']")
    search.in_part("CACHES['default']['OPTIONS']", ignored)
    return found


def default_cache(search: DiscoveryContext) -> Check:
    """Check 5."""
    return _round_trip("default")


def select2_cache(search: DiscoveryContext) -> Check:
    """Check 11."""
    return _round_trip("select2", search.conf.materialized_views)


def _round_trip(alias: str, views: tuple[str, ...] = ()) -> specs.Skipped | CacheRoundTrip:
    if alias not in settings.CACHES:
        raise NoTargetError(f"set CACHES[{alias!r}] to check this cache")
    if settings.CACHES[alias]["BACKEND"] == DUMMY:
        raise NoTargetError(f"CACHES[{alias!r}] is the dummy cache, which keeps nothing")
    return CacheRoundTrip(alias=alias, views=views)
