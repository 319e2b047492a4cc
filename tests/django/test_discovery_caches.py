"""From CACHES to the checks of Redis and of the caches."""

from __future__ import annotations

from typing import Any

import pytest

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.redis import redis_of
from lifesigns import specs

DJANGO = "django.core.cache.backends.redis.RedisCache"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
DUMMY = "django.core.cache.backends.dummy.DummyCache"
URL = "redis://h:6380/1"


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({"LOCATION": URL}, {"url": URL}),
        ({"LOCATION": [URL, "redis://replica"]}, {"url": URL}),
        ({"LOCATION": f"{URL};redis://replica"}, {"url": URL}),
        ({"LOCATION": f"{URL},redis://replica"}, {"url": URL}),
        ({"LOCATION": "unix:///run/redis.sock", "OPTIONS": {"db": 3}}, {"url": "unix:///run/redis.sock?db=3"}),
        ({"LOCATION": "redis://h", "OPTIONS": {"db": 3}}, {"url": "redis://h?db=3"}),
        ({"LOCATION": URL, "OPTIONS": {"db": 3}}, {"url": URL}),
        (
            {"LOCATION": URL, "OPTIONS": {"username": "u", "password": "p"}},
            {"url": URL, "username": "u", "password": "p"},
        ),
        (
            {"LOCATION": "redis://u:p@h", "OPTIONS": {"username": "x", "password": "y"}},
            {"url": "redis://u:p@h"},
        ),
        (
            {"LOCATION": "rediss://h", "OPTIONS": {"ssl_ca_certs": "/ca", "ssl_certfile": "/c", "ssl_keyfile": "/k"}},
            {"url": "rediss://h", "tls": specs.Tls(verify="full", ca="/ca", cert="/c", key="/k")},
        ),
        (
            {"LOCATION": "rediss://h", "OPTIONS": {"ssl_cert_reqs": None}},
            {"url": "rediss://h", "tls": specs.Tls(verify="nothing")},
        ),
        (
            {"LOCATION": "rediss://h", "OPTIONS": {"ssl_check_hostname": False}},
            {"url": "rediss://h", "tls": specs.Tls(verify="chain")},
        ),
        ({"LOCATION": "rediss://h?ssl_cert_reqs=none"}, {"url": "rediss://h?ssl_cert_reqs=none"}),
        # django-redis
        ({"LOCATION": URL, "OPTIONS": {"PASSWORD": "p"}}, {"url": URL, "password": "p"}),
        (
            {
                "LOCATION": "rediss://h",
                "OPTIONS": {"CONNECTION_POOL_KWARGS": {"password": "p", "ssl_cert_reqs": "none"}},
            },
            {"url": "rediss://h", "password": "p", "tls": specs.Tls(verify="nothing")},
        ),
        (
            {
                "LOCATION": "redis://mymaster/0",
                "OPTIONS": {
                    "CLIENT_CLASS": "django_redis.client.SentinelClient",
                    "SENTINELS": [("s1", 26379), ("s2", 26380)],
                    "SENTINEL_KWARGS": {"password": "sp"},
                    "PASSWORD": "p",
                },
            },
            {
                "url": "redis://mymaster/0",
                "password": "p",
                "sentinels": ["s1:26379", "s2:26380"],
                "sentinel_password": "sp",
            },
        ),
        (
            {"LOCATION": URL, "OPTIONS": {"REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster"}},
            {"url": URL, "cluster": True},
        ),
    ],
)
def test_redis_of__table(cache: Any, expected: Any) -> None:
    assert redis_of(cache, "CACHES['default']") == (specs.Redis(**expected), set())


def test_redis_of__options_in_part() -> None:
    cache = {"LOCATION": URL, "OPTIONS": {"credential_provider": object(), "socket_timeout": 3}}
    assert redis_of(cache, "X")[1] == {"credential_provider"}


@pytest.mark.parametrize("location", ["", None, [], "host:6379", "memcached://:hunter2@h"])
def test_redis_of__wrong_location(location: Any) -> None:
    with pytest.raises(WrongTargetError) as caught:
        redis_of({"LOCATION": location}, "CACHES['default']")
    assert "CACHES['default']['LOCATION']" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "backend",
    [DJANGO, "django_redis.cache.RedisCache", "django_prometheus.cache.backends.redis.NativeRedisCache"],
)
def test_discover__redis_backends(discovered: Any, backend: str) -> None:
    pytest.importorskip(backend.partition(".")[0])
    found, problems = discovered(CACHES={"default": {"BACKEND": backend, "LOCATION": URL}})
    assert problems == []
    assert found["redis_connectivity"].check == specs.Redis(url=URL)


def test_discover__local_memory(discovered: Any) -> None:
    found, problems = discovered(CACHES={"default": {"BACKEND": LOCAL}, "select2": {"BACKEND": LOCAL}})
    assert problems == []
    assert found["redis_connectivity"].check == specs.Skipped(
        reason="use a Redis cache in CACHES['default'] to check Redis"
    )
    assert found["default_cache"].check == CacheRoundTrip(alias="default")
    assert found["select2_cache"].check == CacheRoundTrip(alias="select2")


def test_discover__materialized_views(discovered: Any) -> None:
    caches = {"default": {"BACKEND": LOCAL}, "select2": {"BACKEND": LOCAL}}
    found, _ = discovered(CACHES=caches, LIFESIGNS={"MATERIALIZED_VIEWS": ["v"]})
    assert found["select2_cache"].check == CacheRoundTrip(alias="select2", views=("v",))


def test_discover__nothing_to_keep(discovered: Any) -> None:
    found, problems = discovered(CACHES={"default": {"BACKEND": DUMMY}})
    assert problems == []
    assert isinstance(found["default_cache"].check, specs.Skipped)
    assert found["select2_cache"].check == specs.Skipped(reason="set CACHES['select2'] to check this cache")


def test_discover__backend_that_cannot_be_imported(discovered: Any) -> None:
    found, problems = discovered(CACHES={"default": {"BACKEND": "no.such.Cache"}})
    assert [problem.id for problem in problems] == ["E005"]
    assert "no.such.Cache" in problems[0].message
    assert isinstance(found["memory_usage"].check, specs.Memory)
