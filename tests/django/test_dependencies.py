"""Which checks depend on which by default."""

from __future__ import annotations

from typing import Any

import pytest

from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.settings.conf import parse
from django_lifesigns.targets.discovered import DiscoveredCheck, parents_first
from django_lifesigns.targets.discovery import discover

REDIS = "django.core.cache.backends.redis.RedisCache"


def parents(settings: Any, **caches: dict[str, Any]) -> dict[str, Any]:
    settings.CACHES = caches
    found, _ = discover(parse({}))
    return {check.key: check.options.get("depends_on") for check in found}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("redis://cache:6379/1", ("redis_connectivity",)),
        ("redis://cache", ("redis_connectivity",)),
        ("redis://user:password@cache:6379/3", ("redis_connectivity",)),
        ("redis://cache:6380/1", None),
        ("redis://other/1", None),
        ("redis://cache:nonsense/1", None),
        ("unix:///run/redis.sock", None),
    ],
)
def test_cache__depends_on_its_redis_server(settings: Any, location: str, expected: Any) -> None:
    default = {"BACKEND": REDIS, "LOCATION": "redis://cache/0"}
    found = parents(settings, default=default, select2={"BACKEND": REDIS, "LOCATION": location})
    assert found["default_cache"] == ("redis_connectivity",)
    assert found["select2_cache"] == expected
    assert found["redis_connectivity"] is None


def test_cache__of_another_kind_depends_on_nothing(settings: Any) -> None:
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    assert parents(settings, default=local, select2=local)["select2_cache"] is None


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["redis://cache:6379/3"], ("redis_connectivity",)),
        ([("cache", 6379)], ("redis_connectivity",)),
        ([{"address": "redis://cache"}, "redis://:p@cache/2"], ("redis_connectivity",)),
        (["redis://cache", "redis://other"], None),
        ([{"sentinels": [("cache", 26379)], "master_name": "x"}], None),
        (["redis://cache:nonsense"], None),
        ([], None),
        (None, None),
    ],
)
@pytest.mark.parametrize("alias", ["default", "chat"])
def test_channel_layer__depends_on_its_redis_server(settings: Any, alias: str, hosts: Any, expected: Any) -> None:
    pytest.importorskip("channels_redis")
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": hosts}}
    settings.CHANNEL_LAYERS = {alias: layer}
    found = parents(settings, default={"BACKEND": REDIS, "LOCATION": "redis://cache/0"})
    assert found["channel_layer" if alias == "default" else "channel_layer_chat"] == expected


def discovered(name: str, *depends_on: str) -> DiscoveredCheck:
    return DiscoveredCheck(key=name, name=name, check=lambda: None, options={"depends_on": depends_on})


def test_parents_first__keeps_the_order_otherwise() -> None:
    checks = [discovered("a", "c"), discovered("b"), discovered("c"), discovered("d", "b", "unknown")]
    assert [check.name for check in parents_first(checks)] == ["b", "c", "a", "d"]


def test_parents_first__circle_comes_last() -> None:
    checks = [discovered("x", "y"), discovered("y", "x"), discovered("z", "x"), discovered("a")]
    assert [check.name for check in parents_first(checks)] == ["a", "x", "y", "z"]


def test_skipped__stays_so_while_its_parent_is_in_error(settings: Any) -> None:
    found = {"extension": "skipped", "silent": {"status": "skipped", "details": {"unknown": True}}, "table": True}
    database = iter([True])
    checks: dict[str, Any] = {
        name: {"check": lambda result=result: result, "depends_on": ["database_connectivity"]}
        for name, result in found.items()
    }
    settings.LIFESIGNS = {"CHECKS": {"database_connectivity": lambda: next(database, False), **checks}}
    engine = get_engine()
    names = ["database_connectivity", *found]
    statuses = {name: result["status"] for name, result in engine.run(names)["checks"].items()}
    assert [statuses[name] for name in found] == ["skipped", "skipped", "healthy"]
    report: Any = engine.run(names, refresh=True)
    assert report["checks"]["extension"]["status"] == "skipped"
    assert "blocked_by" not in report["checks"]["extension"]
    for name in ("silent", "table"):
        assert (report["checks"][name]["status"], report["checks"][name]["blocked_by"]) == (
            "error",
            "database_connectivity",
        )
    assert report["summary"]["skipped"] == 1
