"""The servers of the projects, each started when the first project needs it, and a database for each project."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack
from functools import cached_property
from urllib.parse import quote

from tests.services import MariaDb, PgBouncer, Postgres, Redis, Sentinel, Service, Stack, workspace
from tests.services.redis import DEFAULT_PASSWORD, PASSWORD, USER

# As projects have it: it owns its databases, and may not see what others do.
ROLE = "web"
ROLE_PASSWORD = "web:pg/p@ss%42?#"
BROKER_DATABASE = 0


def plain_url(server: Redis) -> str:
    """Return the URL of the database with the tasks, without TLS."""
    return f"redis://{USER}:{quote(PASSWORD, safe='')}@{server.host}:{server.port}/{BROKER_DATABASE}"


class CeleryWorker(Service):
    """Works for every project whose broker is this Redis: it has no tasks, and answers pings."""

    name = "celery"
    # SIGINT would let it finish its tasks first, and it has none.
    stop_signal = signal.SIGQUIT

    def __init__(self, broker: Redis) -> None:
        super().__init__()
        self.broker = broker

    def arguments(self) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "celery", "worker", "--pool", "solo", "--loglevel", "warning"]

    def environment(self) -> dict[str, str]:
        return {**workspace.environment(), "CELERY_BROKER_URL": plain_url(self.broker)}

    def ready(self) -> bool:
        # It listens for questions to all workers, and only it by a pattern.
        return self.broker.command("PUBSUB", "NUMPAT") not in ("", "0")


class RqWorker(Service):
    """Works for NetBox's queues of django-rq: it gets no job."""

    name = "rq"
    queues = ("high", "default", "low")

    def __init__(self, broker: Redis) -> None:
        super().__init__()
        self.broker = broker

    def arguments(self) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "rq.cli", "worker", "--quiet", *self.queues]

    def environment(self) -> dict[str, str]:
        return {**workspace.environment(), "RQ_REDIS_URL": plain_url(self.broker)}

    def ready(self) -> bool:
        return self.broker.command("SCARD", f"rq:workers:{self.queues[0]}") not in ("", "0")


class Bouncer(PgBouncer):
    """For the role and the databases of the projects."""

    def prepare(self) -> None:
        super().prepare()
        with (self.directory / "users").open("a") as users:
            users.write(f'"{ROLE}" "{ROLE_PASSWORD}"\n')
        configuration = self.directory / "pgbouncer.ini"
        any_database = f"* = host={self.postgres.host} port={self.postgres.port}\n[pgbouncer]"
        configuration.write_text(configuration.read_text().replace("[pgbouncer]", any_database))


class Servers:
    """Those of the session's stack, and of this module."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._undo = ExitStack()
        # To be held by the caller that requests one of them.
        self.lock = threading.RLock()

    def close(self) -> None:
        self._undo.close()

    def _started(self, service: Service) -> None:
        service.start()
        self._undo.callback(service.close)

    @cached_property
    def postgres(self) -> Postgres:
        """With the role that the projects have, and TLS for those that want it."""
        server = Postgres(ssl=True)
        self._started(server)
        server.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}'")
        return server

    @cached_property
    def bouncer(self) -> Bouncer:
        server = Bouncer(self.postgres)
        self._started(server)
        return server

    @cached_property
    def redis(self) -> Redis:
        server = Redis(tls=True)
        self._started(server)
        return server

    @cached_property
    def mariadb(self) -> MariaDb:
        server = MariaDb()
        self._started(server)
        return server

    @cached_property
    def sentinel(self) -> Sentinel:
        server = Sentinel(self.redis)
        self._started(server)
        return server

    @cached_property
    def worker(self) -> CeleryWorker:
        worker = CeleryWorker(self.redis)
        self._started(worker)
        return worker

    @cached_property
    def rq_worker(self) -> RqWorker:
        worker = RqWorker(self.redis)
        self._started(worker)
        return worker

    def database(self, name: str, *, extensions: bool = False, scheme: str = "postgres") -> str:
        """Return the URL of a new PostgreSQL database, which has extensions only where the caller says so."""
        server = self.postgres
        server.sql(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {'template1' if extensions else 'template0'}")
        return f"{scheme}://{ROLE}:{quote(ROLE_PASSWORD, safe='')}@{server.host}:{server.port}/{name}"

    def smtp(self) -> dict[str, str]:
        """Return the mail server as variables."""
        server = self._stack.smtp
        server.start()
        settings = server.django_settings()
        names = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD")
        return {name: str(settings[name]) for name in names}

    def mqtt(self) -> dict[str, str]:
        """Return the MQTT broker as variables."""
        broker = self._stack.mosquitto
        broker.start()
        config = broker.django_config()
        return {f"MQTT_{name}": str(config[name]) for name in config}

    def redis_parts(self) -> dict[str, str]:
        """Return the Redis server as variables, for projects that put their URLs together."""
        parts = {"HOST": self.redis.host, "PORT": str(self.redis.port), "USERNAME": USER, "PASSWORD": PASSWORD}
        parts["DEFAULT_PASSWORD"] = DEFAULT_PASSWORD
        urls = {
            "REDIS_URL": plain_url(self.redis),
            # As platforms give it: of the default user, without a database.
            "REDIS_TLS_URL": f"rediss://:{quote(DEFAULT_PASSWORD, safe='')}@{self.redis.host}:{self.redis.tls_port}",
            "REDIS_SOCKET_URL": self.redis.socket_url,
        }
        return {**urls, **{f"REDIS_{name}": value for name, value in parts.items()}}

    def celery(self) -> dict[str, str]:
        """Return the Redis server as variables, once a worker waits there."""
        _ = self.worker
        return self.redis_parts()

    def rq(self) -> dict[str, str]:
        """Return the Redis server as variables, once a worker of RQ waits there."""
        _ = self.rq_worker
        return self.redis_parts()
