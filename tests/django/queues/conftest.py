"""Packages of releases other than the installed one, each in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from tests.services import RabbitMq, Redis

Install = Callable[..., Path | None]


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Install packages without what they depend on, which is installed; none: the installed ones are meant."""

    @lru_cache
    def install(*requirements: str) -> Path | None:
        if not requirements:
            return None
        folder = tmp_path_factory.mktemp("release")
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary", ":all:")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), *requirements],
            check=True,
            timeout=120,
        )
        return folder

    return install


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """An empty database 8 for the queue of one test."""
    redis_server.command("-n", "8", "FLUSHDB")
    return redis_server


@pytest.fixture
def broker_url(request: pytest.FixtureRequest, broker: str) -> str:
    """An empty place on the broker that the test's parameter `broker` names."""
    if broker == "redis":
        redis: Redis = request.getfixturevalue("redis")
        return redis.url_for(8)
    rabbitmq: RabbitMq = request.getfixturevalue("rabbitmq")
    return rabbitmq.url(rabbitmq.new_vhost())
