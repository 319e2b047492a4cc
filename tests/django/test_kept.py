"""What the checks of caches and channel layers keep from one run to the next: connections, and no more than those."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from django_lifesigns.checks import connection_cache as kept
from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.connections import runnable
from tests.django.projects import environment
from tests.services import Redis, wait_until

pytestmark = pytest.mark.services

CHANNEL_DATABASE = 3
CHECKS: dict[str, Callable[[], dict[str, object]]] = {
    "cache": CacheRoundTrip(alias="default"),
    "channels": ChannelRoundTrip(timeout=0.5),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(autouse=True)
def project(server: Redis, settings: Any) -> dict[str, Any]:
    """The settings whose cache and channel layer are on this server."""
    found = project_of(server)
    settings.CACHES, settings.CHANNEL_LAYERS = found["CACHES"], found["CHANNEL_LAYERS"]
    return found


def project_of(server: Redis) -> dict[str, Any]:
    hosts = [server.url_for(CHANNEL_DATABASE)]
    return {
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url_for(1)}
        },
        "CHANNEL_LAYERS": {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": hosts}}},
    }


def connections(server: Redis) -> set[str]:
    """The numbers that the server gave those it has, but for the one that runs this."""
    clients = server.command("CLIENT", "LIST").splitlines()
    return {client.split()[0] for client in clients if "cmd=client|list" not in client}


@pytest.fixture
def engine() -> lifesigns.Engine:
    engine = lifesigns.Engine()
    for name, check in CHECKS.items():
        engine.register(name, runnable(check))
    return engine


def statuses(engine: lifesigns.Engine) -> dict[str, str]:
    return {name: result["status"] for name, result in engine.run(refresh=True)["checks"].items()}


def healthy(engine: lifesigns.Engine) -> bool:
    return statuses(engine) == dict.fromkeys(CHECKS, "healthy")


def test_connections__one_of_each_check_for_all_runs(server: Redis, engine: lifesigns.Engine) -> None:
    assert healthy(engine)
    before = connections(server)
    assert len(before) == len(CHECKS)
    assert all(healthy(engine) for _ in range(50))
    assert connections(server) == before


def test_channels__leave_nothing_on_the_server(server: Redis) -> None:
    assert CHECKS["channels"]()["status"] == "healthy"
    assert server.command("-n", str(CHANNEL_DATABASE), "KEYS", "*") == ""


def test_restart_of_the_server__is_no_failure(server: Redis, engine: lifesigns.Engine) -> None:
    assert healthy(engine)
    server.restart()
    assert healthy(engine)


@pytest.mark.parametrize("name", CHECKS)
def test_run_that_overran__is_followed_by_a_healthy_one(server: Redis, name: str) -> None:
    engine = lifesigns.Engine(default_timeout=0.5)
    engine.register(name, runnable(CHECKS[name]))
    assert engine.check(name, refresh=True)["status"] == "healthy"
    server.suspend()
    try:
        assert engine.check(name, refresh=True)["error_type"] == "TimeoutError"
    finally:
        server.resume()
    wait_until(lambda: engine.check(name, refresh=True)["status"] == "healthy")


def test_idle__new_connections_take_the_place_of_the_old(
    server: Redis, engine: lifesigns.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert healthy(engine)
    before = connections(server)
    monkeypatch.setattr(kept, "IDLE_SECONDS", 0.0)
    assert healthy(engine)
    after = connections(server)
    assert len(after) == len(CHECKS)
    assert not before & after


def test_settings_changed__another_server_is_used(engine: lifesigns.Engine, settings: Any) -> None:
    assert healthy(engine)
    with Redis() as other:
        found = project_of(other)
        settings.CACHES, settings.CHANNEL_LAYERS = found["CACHES"], found["CHANNEL_LAYERS"]
        assert healthy(engine)
        assert len(connections(other)) == len(CHECKS)


FORKING = """
import django, os, sys
django.setup()
from django_lifesigns.checks import cache
from django_lifesigns.checks import channels
checks = [cache.CacheRoundTrip(alias="default"), channels.ChannelRoundTrip(timeout=5)]
kept = [cache._caches, channels._lines]
healthy = lambda: all(check()["status"] == "healthy" for check in checks)
assert healthy()
before = [dict(some._things) for some in kept]
for _ in range(3):
    child = os.fork()
    if child == 0:
        sys.exit(0 if healthy() and healthy() else 1)
    assert os.waitpid(child, 0)[1] == 0
assert healthy()
# The very same, which no child has closed.
assert [[thing for thing, _ in some._things.values()] for some in kept] == [
    [thing for thing, _ in some.values()] for some in before
]
"""


@pytest.mark.parametrize("program", [FORKING, FORKING.partition("for _ in")[0]], ids=["fork", "exit"])
def test_process__ends_in_peace(tmp_path: Path, project: dict[str, Any], program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program],
        env=environment(tmp_path, project),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_channels__of_several_servers_are_received(settings: Any) -> None:
    # Not the one of the other tests, whose runs that ended late may have left messages there.
    with Redis() as first, Redis() as second:
        hosts = [server.url_for(CHANNEL_DATABASE) for server in (first, second)]
        layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": hosts}}
        settings.CHANNEL_LAYERS = {"several": layer}
        check = ChannelRoundTrip(alias="several", timeout=5.0)
        # By chance one would choose the same server now and then.
        assert [check()["status"] for _ in range(20)] == ["healthy"] * 20
        assert {one.command("-n", str(CHANNEL_DATABASE), "KEYS", "*") for one in (first, second)} == {""}
