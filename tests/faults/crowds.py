"""Servers that are full: no connection left, no memory left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
from redis import Redis as Client

if TYPE_CHECKING:
    from tests.faults.project import Project


@contextmanager
def postgres(project: Project) -> Iterator[None]:
    """Every connection that the application's role may have is taken, after its own were ended."""
    server = project.dependencies.stack.postgres
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with ExitStack() as undo:
        while True:
            try:
                undo.enter_context(closing(psycopg.connect(server.dsn)))
            except psycopg.OperationalError:
                break
        yield


@contextmanager
def redis(project: Project) -> Iterator[None]:
    """One client, this one, is all that the server allows; the others were ended."""
    with closing(Client.from_url(project.dependencies.stack.redis.url)) as client:
        usual = client.config_get("maxclients")["maxclients"] or ""
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            client.config_set("maxclients", usual)


@contextmanager
def redis_memory(project: Project) -> Iterator[None]:
    """Reads are answered, writes refused."""
    with closing(Client.from_url(project.dependencies.stack.redis.url)) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)
