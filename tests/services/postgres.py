"""PostgreSQL with PostGIS, pg_stat_statements and the objects that the checks look for."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from urllib.parse import quote

from tests.services.certificates import certificates
from tests.services.cluster import DATABASE, PASSWORD, SUPERUSER, SUPERUSER_PASSWORD, USER, Cluster

BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")
OBJECTS = Path(__file__).with_name("objects.sql")

_template_lock = threading.Lock()
_templates: dict[int, Path] = {}  # by pid, like the directories that they are in


class Postgres(Cluster):
    """Database and role `app`, extensions, functions, tables with a few rows, one live worker."""

    def make_data(self) -> None:
        """A copy of a prepared data directory takes 0.1 s, making one 1.3 s."""
        self.run("cp", "--archive", str(_template()), str(self.data))

    def start(self) -> None:
        super().start()
        self.heartbeat()

    def heartbeat(self) -> None:
        """Make the worker in `background_task_worker` alive now (the checks look back five minutes)."""
        self.sql("UPDATE background_task_worker SET last_heartbeat = now()")

    def forget_statements(self) -> None:
        """Let `pg_stat_statements` start anew: what it took to set a database up is no load of an application's."""
        self.sql("SELECT pg_stat_statements_reset()")

    def create_objects(self, database: str) -> None:
        """Make functions, task tables and their rows in another database of `app`, such as Django's test database."""
        self.sql_file(OBJECTS, database)

    @property
    def dsn(self) -> str:
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{self.host}:{self.port}/{DATABASE}"

    def database(
        self, *, engine: str = "django.contrib.gis.db.backends.postgis", socket: bool = False
    ) -> dict[str, object]:
        """An entry of Django's DATABASES, over TCP or over the Unix socket."""
        entry: dict[str, object] = {
            "ENGINE": engine,
            "NAME": DATABASE,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "HOST": self.socket_dir if socket else self.host,
            "PORT": str(self.port),
        }
        if self.ssl and not socket:
            entry["OPTIONS"] = {"sslmode": "verify-full", "sslrootcert": str(certificates().ca)}
        return entry


class Standby(Cluster):
    """A hot standby of `primary`, with what that held when it was copied."""

    name = "standby"

    def __init__(self, primary: Cluster) -> None:
        super().__init__(max_connections=primary.max_connections)
        self.primary = primary

    def make_data(self) -> None:
        where = ("--host", self.primary.socket_dir, "--port", str(self.primary.port), "--username", SUPERUSER)
        options = ("--pgdata", str(self.data), "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        self.run("pg_basebackup", *where, *options, environment={"PGPASSWORD": SUPERUSER_PASSWORD})


def _template() -> Path:
    """A stopped server's data directory with everything in it, made once per process."""
    with _template_lock:
        pid = os.getpid()
        if pid not in _templates:
            cluster = Cluster()
            cluster.start()
            cluster.sql_file(BOOTSTRAP, "template1")
            cluster.sql_file(OBJECTS)
            cluster.sql("SELECT pg_stat_statements_reset()")  # making extensions is slow, and no finding
            cluster.stop()
            _templates[pid] = cluster.data
        return _templates[pid]
