"""Every service starts, answers, can be suspended, killed and restarted, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.services import (
    HttpApis,
    MariaDb,
    Mosquitto,
    PgBouncer,
    Postgres,
    Redis,
    Service,
    ServiceError,
    Smtp,
    Stack,
    processes,
    wait_until,
    workspace,
)

ANSWER_SECONDS = 10
SILENCE_SECONDS = 0.3

# What each answers to, without a client library; by SMTP and by MySQL the server speaks first.
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
HELLO = {
    "postgres": SSL_REQUEST,
    "pgbouncer": SSL_REQUEST,
    "redis": b"PING\r\n",
    "mosquitto": b"\x10\x0c\0\4MQTT\4\2\0\x0a\0\0",  # CONNECT
    "smtp": b"",
    "mariadb": b"",
    "http": b"GET /_requests HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

KILLED_PARENT = """
from tests.services import Stack, workspace

stack = Stack()
stack.start()
stack.postgres.suspend()
print(workspace.directory(), flush=True)
input()
"""

FORGETFUL_PARENT = """
import os
from tests.services import Redis, workspace

server = Redis()
server.start()
print(workspace.directory(), flush=True)
if child := os.fork():
    os.waitpid(child, 0)
assert server.ready()  # in the parent, after the child's exit handlers have run
"""


@contextmanager
def _parent(program: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that starts services, and the directory that it prints."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=workspace.PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        yield parent, Path(parent.stdout.readline().strip())


def _remains(directory: Path) -> bool:
    """Whether files or processes are left, also under the name that the guardian gives to what it removes."""
    places = (directory, Path(f"{directory}-ending"))
    return any(place.exists() or processes.working_in(place) for place in places)


def answers(service: Service, within: float = ANSWER_SECONDS) -> bool:
    with suppress(OSError), socket.create_connection((service.host, service.port), within) as connection:
        connection.sendall(HELLO[service.name])
        return bool(connection.recv(1))
    return False


@pytest.fixture(params=[Postgres, MariaDb, Redis, Mosquitto, Smtp, HttpApis, PgBouncer], ids=lambda kind: kind.name)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    dependencies = [request.getfixturevalue("postgres")] if request.param is PgBouncer else []
    with request.param(*dependencies) as running:
        yield running


def test_life__suspended_killed_restarted(service: Service) -> None:
    port, first = service.port, service.pid
    assert answers(service)

    service.suspend()
    assert not answers(service, SILENCE_SECONDS)
    service.resume()
    assert answers(service)

    service.suspend()
    tree = processes.tree(first)
    service.kill()
    assert not any(map(processes.alive, tree))
    assert not answers(service, SILENCE_SECONDS)

    service.start()
    assert answers(service)
    service.restart()
    assert answers(service)
    assert service.port == port
    assert service.pid != first


def test_close__leaves_nothing(service: Service) -> None:
    service.suspend()
    tree, directory = processes.tree(service.pid), service.directory
    service.close()
    assert not service.running
    assert not any(map(processes.alive, tree))
    assert not directory.exists()


def test_repetition__does_no_harm(redis_server: Redis) -> None:
    pid = redis_server.pid
    redis_server.start()
    assert redis_server.pid == pid
    for end in (redis_server.kill, redis_server.stop):
        end()
        end()
    with pytest.raises(ServiceError, match="redis is not running"):
        redis_server.suspend()
    redis_server.start()


def test_start__failure_shows_the_log() -> None:
    class Broken(Redis):
        def prepare(self) -> None:
            super().prepare()
            self.configuration.write_text("nonsense yes\n")

    broken = Broken()
    with pytest.raises(ServiceError, match=r"(?s)redis on port \d+: ended with code 1.*nonsense"):
        broken.start()
    assert not broken.running
    broken.close()


def test_stack__starts_together() -> None:
    with Stack(tls=True) as stack:
        assert all(service.running for service in stack.services)
        settings = stack.settings()
        assert Path(str(settings["MEDIA_ROOT"])).is_dir()
        assert settings["EMAIL_USE_TLS"] is True


def test_parent_killed__leaves_nothing() -> None:
    with _parent(KILLED_PARENT) as (parent, directory):
        assert len(processes.working_in(directory)) > 5
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not _remains(directory), 20, "something survives")


def test_parent_forgets__leaves_nothing() -> None:
    with _parent(FORGETFUL_PARENT) as (parent, directory):
        assert parent.wait(20) == 0
        assert not _remains(directory)
