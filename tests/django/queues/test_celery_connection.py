"""The connection by which Celery's workers are asked: one for all runs of a process, replaced once where it is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.django.queues.test_celery_redis import APP, RELEASES, WORKER
from tests.services import Redis, wait_until

pytest.importorskip("celery")
pytestmark = pytest.mark.services

MODULES = {"project": APP}
# The local port of the kept connection to RabbitMQ.
PORT = """
from django_lifesigns.checks.celery_connection import _connections
[(broker, _)] = _connections._things.values()
result = broker.kombu.connection.transport.sock.getsockname()[1]
"""
# Closes what is kept to Redis, as a server or a firewall does, and returns how many connections that were.
LOSE_ON_REDIS = """
import socket
from django_lifesigns.checks.celery_connection import _connections
[(broker, _)] = _connections._things.values()
channel = broker.kombu.default_channel
kept = [one for one in (channel.client.connection, *channel.pool._available_connections) if one and one._sock]
for connection in kept:
    connection._sock.shutdown(socket.SHUT_RDWR)
result = len(kept)
"""
# Closes it.
LOSE = f"{PORT}\nimport socket\nbroker.kombu.connection.transport.sock.shutdown(socket.SHUT_RDWR)"
# The status that a forked child finds, which has used the engine's parent before.
FORK = """
import os
from django_lifesigns.checks.celery_workers import CeleryWorkers
reading, writing = os.pipe()
if not (child := os.fork()):
    os.write(writing, str(CeleryWorkers()()["status"]).encode())
    os._exit(0)
os.close(writing)
result = os.read(reading, 100).decode()
os.waitpid(child, 0)
"""

# Of each run in a real thread of its own, as the engine has them.
IN_THREADS = """
import time
from gevent import monkey
from django_lifesigns.checks.celery_workers import CeleryWorkers

def look():
    try:
        found.append(CeleryWorkers()()["status"])
    except BaseException as error:
        found.append(repr(error))

found = []
for run in range(3):
    monkey.get_original("_thread", "start_new_thread")(look, ())
    end = time.monotonic() + 20
    while len(found) == run and time.monotonic() < end:
        monkey.get_original("time", "sleep")(0.01)
result = found
"""
# Done before anything else is imported.
PATCH = """
import os
if os.environ.get("PATCHED"):
    from gevent import monkey
    monkey.patch_all()
"""


def connections(redis: Redis) -> int:
    """Return how many clients the server has ever accepted, without the one that asks."""
    received = redis.command("INFO", "stats").split("total_connections_received:")[1]
    return int(received.split()[0])


def start(project: QueueProject) -> None:
    project.do("import project")
    project.start(*WORKER)
    project.wait("task_workers", lambda details: details.get("active_workers") == 1)
    wait_until(lambda: "[queues]" in project.log(), 60, project.log())


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[0] if release else "installed")
@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_workers_on_redis_are_asked_over_one_kept_connection(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...], prefix: str
) -> None:
    options = {"global_keyprefix": prefix} if prefix else {}
    settings = {"CELERY_BROKER_URL": redis.url_for(8), "CELERY_BROKER_TRANSPORT_OPTIONS": options}
    with QueueProject(tmp_path, settings, MODULES, install(*release)) as project:
        start(project)
        wait_until(lambda: is_quiet(redis), 60)
        before = connections(redis)
        results = [project.checks("task_workers")["task_workers"] for _ in range(5)]
        assert {result["status"] for result in results} == {"healthy"}, results
        # The second count's own client.
        assert connections(redis) - before == 1
        # All that are connected have answered, so that nothing is waited for.
        assert min(result["duration_ms"] for result in results) < 500

        assert project.do(LOSE_ON_REDIS)
        assert project.checks("task_workers")["task_workers"]["status"] == "healthy"

        wait_until(lambda: is_quiet(redis), 60)
        assert project.do(FORK) == "healthy"
        before = connections(redis)
        assert project.checks("task_workers")["task_workers"]["status"] == "healthy"
        assert connections(redis) - before == 1
        assert not redis.command("-n", "8", "KEYS", f"{prefix}*reply*")


def is_quiet(redis: Redis) -> bool:
    """Return whether no client connects within a moment: a worker that starts opens several connections."""
    before = connections(redis)
    time.sleep(1)
    return connections(redis) - before == 1


@pytest.mark.parametrize("broker", ["rabbitmq"])
def test_workers_on_rabbitmq_are_asked_over_one_kept_connection(broker_url: str, tmp_path: Path, broker: str) -> None:
    with QueueProject(tmp_path, {"CELERY_BROKER_URL": broker_url}, MODULES) as project:
        start(project)
        port = project.do(PORT)
        for _ in range(3):
            assert project.checks("task_workers")["task_workers"]["status"] == "healthy"
        assert project.do(PORT) == port
        project.do(LOSE)
        assert project.checks("task_workers")["task_workers"]["status"] == "healthy"
        assert project.do(PORT) != port


def test_workers_are_asked_from_any_thread_under_gevent(redis: Redis, tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    modules = {**MODULES, "sitecustomize": PATCH}
    with QueueProject(tmp_path, {"CELERY_BROKER_URL": redis.url_for(8)}, modules) as project:
        project.start(*WORKER)
        wait_until(lambda: "[queues]" in project.log(), 60, project.log())
        wait_until(lambda: redis.command("PUBSUB", "NUMPAT") != "0", 60, project.log())
        wait_until(lambda: is_quiet(redis), 60)
        project.environment["PATCHED"] = "1"
        assert project.do(IN_THREADS) == ["healthy"] * 3


def test_workers_that_are_gone_beside_clients_of_other_applications(redis: Redis, tmp_path: Path) -> None:
    with QueueProject(tmp_path, {"CELERY_BROKER_URL": redis.url_for(8)}, MODULES) as project:
        # Another application's worker listens on the same server, though in a database of its own.
        project.do(
            "import redis\n"
            f"listener = redis.Redis.from_url({redis.url_for(7)!r}).pubsub()\n"
            "listener.psubscribe('/7.celery.pidbox')\nlistener.get_message(timeout=10)"
        )
        workers = project.checks("task_workers")["task_workers"]
        assert workers["status"] == "error", workers
        project.do("import project; [project.quick.delay() for _ in range(3)]")
        workers = project.checks("task_workers")["task_workers"]
        assert workers["message"].endswith("no worker consumes celery, where 3 messages wait"), workers
        assert workers["details"]["queues_without_worker"] == ["celery"]


def test_broker_that_hangs_is_named_within_the_deadline(tmp_path: Path) -> None:
    with Redis() as redis, QueueProject(tmp_path, {"CELERY_BROKER_URL": redis.url_for(8)}, MODULES) as project:
        assert "0 of 1" in project.checks("task_workers")["task_workers"]["message"]
        redis.suspend()
        try:
            workers = project.checks("task_workers")["task_workers"]
        finally:
            redis.resume()
        assert workers["status"] == "error"
        assert f"{redis.host}:{redis.port} cannot be reached" in workers["message"], workers
