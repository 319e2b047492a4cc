"""From CACHES to the checks of Redis and of the caches."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.cache.backends.redis import RedisCache

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.redis import RedisClient
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.redis import redis_of
from lifesigns import specs

DJANGO = "django.core.cache.backends.redis.RedisCache"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
IN_TABLE = "django.core.cache.backends.db.DatabaseCache"
DJANGO_REDIS = "django_redis.cache.RedisCache"
PROMETHEUS = "django_prometheus.cache.backends.redis.RedisCache"
DUMMY = "django.core.cache.backends.dummy.DummyCache"
URL = "redis://h:6380/1"
NOTHING, CHAIN, FULL = ({"url": "rediss://h", "tls": specs.Tls(verify=how)} for how in ("nothing", "chain", "full"))


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({"LOCATION": URL}, {"url": URL}),
        ({"LOCATION": [URL, "redis://replica"]}, {"url": URL}),
        ({"LOCATION": f"{URL};redis://replica"}, {"url": URL}),
        ({"LOCATION": (URL, "redis://replica")}, {"url": URL}),
        ({"BACKEND": DJANGO_REDIS, "LOCATION": "redis://:pa;ss@h:6380/1"}, {"url": "redis://:pa;ss@h:6380/1"}),
        ({"LOCATION": "valkey://h:6380/1"}, {"url": "valkey://h:6380/1"}),
        ({"LOCATION": f"{URL},redis://replica"}, {"url": URL}),
        ({"LOCATION": "unix:///run/redis.sock", "OPTIONS": {"db": 3}}, {"url": "unix:///run/redis.sock?db=3"}),
        ({"LOCATION": "redis://h", "OPTIONS": {"db": 3}}, {"url": "redis://h?db=3"}),
        # As redis-py reads them.
        ({"LOCATION": "redis://u:p@h:1/shop"}, {"url": "redis://u:p@h:1"}),
        ({"LOCATION": "redis://h/shop", "OPTIONS": {"db": 3}}, {"url": "redis://h?db=3"}),
        ({"LOCATION": "redis://h/1/shop?protocol=3"}, {"url": "redis://h?protocol=3"}),
        ({"LOCATION": "redis://h/1/2"}, {"url": "redis://h/12"}),
        ({"LOCATION": "redis://h/1/"}, {"url": "redis://h/1"}),
        ({"LOCATION": "redis://h/1 "}, {"url": "redis://h/1"}),
        ({"LOCATION": "redis://h/0#part"}, {"url": "redis://h/0"}),
        ({"LOCATION": "redis://:pa#ss@h/0"}, {"url": "redis://:pa#ss@h/0"}),
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
        *(
            ({"LOCATION": "rediss://h", "OPTIONS": {"ssl_cert_reqs": none}}, NOTHING)
            for none in ("none", "CERT_NONE", "ssl.CERT_NONE", ssl.CERT_NONE, None)
        ),
        *(({"LOCATION": "rediss://h", "OPTIONS": {"ssl_check_hostname": no}}, CHAIN) for no in (False, 0, None)),
        # redis-py asks whether it is true.
        *(({"LOCATION": "rediss://h", "OPTIONS": {"ssl_check_hostname": text}}, FULL) for text in ("False", "0", "no")),
        *(
            (
                {"LOCATION": f"rediss://h?ssl_check_hostname={no}", "OPTIONS": {"ssl_ca_certs": "/ca"}},
                {"url": f"rediss://h?ssl_check_hostname={no}", "tls": specs.Tls(verify="chain", ca="/ca")},
            )
            for no in ("False", "0", "f", "NO")
        ),
        ({"LOCATION": "rediss://h", "OPTIONS": {"ssl_check_hostname": "true", "ssl_cert_reqs": "required"}}, FULL),
        ({"LOCATION": "rediss://h?ssl_cert_reqs=none"}, {"url": "rediss://h?ssl_cert_reqs=none"}),
        (
            {"LOCATION": "rediss://h?ssl_check_hostname=false", "OPTIONS": {"ssl_ca_certs": "/ca"}},
            {"url": "rediss://h?ssl_check_hostname=false", "tls": specs.Tls(verify="chain", ca="/ca")},
        ),
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
                "sentinel_encrypted": False,
            },
        ),
        # Each connection with its own options.
        (
            {
                "LOCATION": "redis://mymaster/0",
                "OPTIONS": {
                    "SENTINELS": [("s1", 26379)],
                    "CONNECTION_POOL_KWARGS": {"ssl": True, "ssl_check_hostname": False},
                    "SENTINEL_KWARGS": {"ssl": True, "ssl_ca_certs": "/ca"},
                },
            },
            {
                "url": "rediss://mymaster/0",
                "tls": specs.Tls(verify="chain"),
                "sentinels": ["s1:26379"],
                "sentinel_encrypted": True,
                "sentinel_tls": specs.Tls(verify="full", ca="/ca"),
            },
        ),
        (
            {"LOCATION": "rediss://mymaster/0", "OPTIONS": {"SENTINELS": [("s1", 26379)]}},
            {"url": "rediss://mymaster/0", "sentinels": ["s1:26379"], "sentinel_encrypted": False},
        ),
        (
            {"LOCATION": URL, "OPTIONS": {"REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster"}},
            {"url": URL, "cluster": True},
        ),
        (
            {
                "BACKEND": "django_valkey.cluster_cache.cache.ClusterValkeyCache",
                "LOCATION": ["valkey://a", "valkey://[::1]:7"],
            },
            {"url": "valkey://a", "cluster": True, "nodes": ["[::1]:7"]},
        ),
    ],
)
def test_redis_of__table(cache: Any, expected: Any) -> None:
    assert redis_of(cache, "CACHES['default']") == (specs.Redis(**expected), set())


def test_redis_of__semicolon_where_the_backend_is_derived() -> None:
    pytest.importorskip("django_prometheus")
    cache = {"BACKEND": PROMETHEUS, "LOCATION": "redis://:pa;ss@h:6380/1"}
    assert redis_of(cache, "X") == (specs.Redis(url="redis://:pa;ss@h:6380/1"), set())


def test_redis_of__options_in_part() -> None:
    cache = {"LOCATION": URL, "OPTIONS": {"redis_connect_func": object(), "socket_timeout": 3}}
    assert redis_of(cache, "X")[1] == {"redis_connect_func"}


@pytest.mark.parametrize(
    "location",
    [
        *("", None, [], [None], 7, Path("/hunter2"), "host:6379", "memcached://:hunter2@h"),
        *(" redis://:hunter2@h/0", "redis://:hunter2@h:6379 ", "redis://:hunter2@h /0"),
    ],
)
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
    assert [problem.id for problem in problems] == ["W005"]
    assert "no.such.Cache" in problems[0].message
    assert isinstance(found["default_cache"].check, FixedResult)
    assert isinstance(found["redis_connectivity"].check, specs.Skipped)
    assert isinstance(found["memory_usage"].check, specs.Memory)


@pytest.mark.parametrize("given", [{}, None, {"LOCATION": "x"}, {"BACKEND": RedisCache}, "hunter2"])
def test_discover__entry_without_backend(discovered: Any, given: Any) -> None:
    found, problems = discovered(CACHES={"default": given})
    assert [problem.id for problem in problems] == ["W005"]
    assert "CACHES['default']" in problems[0].message
    assert "hunter2" not in problems[0].message
    assert isinstance(found["default_cache"].check, FixedResult)
    assert isinstance(found["redis_connectivity"].check, specs.Skipped)


@pytest.mark.parametrize(
    "options", [{"CONNECTION_POOL_KWARGS": {"credential_provider": object()}}, {"credential_provider": object()}]
)
def test_discover__password_made_at_each_login(discovered: Any, options: Any) -> None:
    found, problems = discovered(CACHES={"default": {"BACKEND": DJANGO, "LOCATION": URL, "OPTIONS": options}})
    assert problems == []
    assert found["redis_connectivity"].check == RedisClient(alias="default")
    assert found["default_cache"].options["depends_on"] == ("redis_connectivity",)


def test_discover__valkey(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    base, module = ModuleType("django_valkey.base"), ModuleType("django_valkey.cache")
    parent = type("BaseValkeyCache", (), {"__module__": "django_valkey.base"})
    vars(module)["ValkeyCache"] = type("ValkeyCache", (parent,), {"__module__": "django_valkey.cache"})
    for name, made in (
        ("django_valkey", ModuleType("django_valkey")),
        ("django_valkey.base", base),
        ("django_valkey.cache", module),
    ):
        monkeypatch.setitem(sys.modules, name, made)
    found, problems = discovered(
        CACHES={"default": {"BACKEND": "django_valkey.cache.ValkeyCache", "LOCATION": "valkey://h/1"}}
    )
    assert problems == []
    assert found["redis_connectivity"].check == specs.Redis(url="valkey://h/1")


@pytest.mark.parametrize(
    ("given", "lags"),
    [
        ({"LOCATION": URL}, False),
        ({"LOCATION": [URL, "redis://replica"]}, True),
        ({"LOCATION": f"{URL},redis://replica"}, True),
        ({"LOCATION": URL, "OPTIONS": {"sentinels": [("s", 1)]}}, True),
    ],
)
def test_discover__replicas_have_time(discovered: Any, given: Any, lags: bool) -> None:
    found, _ = discovered(CACHES={"default": {"BACKEND": DJANGO, **given}})
    assert found["default_cache"].check == CacheRoundTrip(alias="default", lag=2.5 if lags else 0.0)


def test_discover__readiness_may_rest_on_a_round_trip_whose_server_is_checked(discovered: Any) -> None:
    found, _ = discovered(CACHES={"default": {"BACKEND": DJANGO, "LOCATION": URL}})
    assert found["default_cache"].options["ready_max_age"] == 30
    assert found["redis_connectivity"].options.get("ready_max_age") is None
    found, _ = discovered(CACHES={"default": {"BACKEND": LOCAL}})
    assert found["default_cache"].options.get("ready_max_age") is None


class ToOther:
    """A router that has the tables of caches in another database."""

    def db_for_write(self, model: Any, **_: object) -> str | None:
        return "other" if model._meta.app_label == "django_cache" else None


class Broken:
    def db_for_write(self, model: Any, **_: object) -> str:
        raise LookupError(model)


@pytest.mark.parametrize("router", [None, ToOther, Broken])
def test_discover__cache_in_a_table_depends_on_its_database(
    discovered: Any, database: Any, settings: Any, router: Any
) -> None:
    database(ENGINE="django.db.backends.postgresql", NAME="app")
    settings.DATABASE_ROUTERS = [router()] if router else []
    found, _ = discovered(CACHES={"default": {"BACKEND": IN_TABLE, "LOCATION": "cache_table"}})
    depends_on, age = (found["default_cache"].options.get(name) for name in ("depends_on", "ready_max_age"))
    assert (depends_on, age) == ((None, None) if router else (("database_connectivity",), 30))
