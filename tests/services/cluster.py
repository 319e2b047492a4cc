"""A bare PostgreSQL server, and its programs run against it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.services import shared_memory
from tests.services.base import Service, account_if_root, program
from tests.services.certificates import certificates

SUPERUSER = "postgres"
# What a URL must quote is in each password on purpose.
SUPERUSER_PASSWORD = "superuser:pg/p@ss%41"
USER = DATABASE = "app"
PASSWORD = "app:pg/p@ss%42?#"


class Cluster(Service):
    """A PostgreSQL server on a data directory fresh from initdb; SCRAM passwords over TCP and the Unix socket."""

    name = "postgres"
    account = account_if_root("postgres")

    def __init__(self, *, max_connections: int = 100, ssl: bool = False) -> None:
        super().__init__()
        self.max_connections = max_connections
        self.ssl = ssl

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def socket_dir(self) -> str:
        return str(self.directory)

    def make_data(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(SUPERUSER_PASSWORD)
        self._own(password_file)
        options = f"--username={SUPERUSER} --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync".split()
        self.run("initdb", *options, f"--pwfile={password_file}", f"--pgdata={self.data}")

    def prepare(self) -> None:
        self.make_data()
        settings: dict[str, object] = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.socket_dir,
            "max_connections": self.max_connections,
            "shared_preload_libraries": "pg_stat_statements",
            "shared_buffers": "16MB",
            "fsync": "off",
            "dynamic_shared_memory_type": "mmap",  # in the data directory: kill -9 leaves nothing in /dev/shm
        }
        if self.ssl:
            settings |= {
                "ssl": "on",
                "ssl_ca_file": self._copy(certificates().ca),
                "ssl_cert_file": self._copy(certificates().server.certificate),
                "ssl_key_file": self._copy(certificates().server.key),
            }
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def arguments(self) -> list[str]:
        return [_program("postgres"), "-D", str(self.data)]

    def ready(self) -> bool:
        """The postmaster writes its state in the last line of its pid file."""
        with suppress(FileNotFoundError):
            words = (self.data / "postmaster.pid").read_text().split()
            return bool(words) and words[0] == str(self.pid) and words[-1] == "ready"
        return False

    def kill(self) -> None:
        """Like a power cut."""
        super().kill()
        shared_memory.release(self.data)

    def sql(self, statements: str, database: str = DATABASE) -> str:
        """Run statements as superuser with psql, and return the rows: columns separated by `|`, unaligned."""
        return self._psql(database, "--command", statements)

    def sql_file(self, path: Path, database: str = DATABASE) -> str:
        """As `sql`; the variable `app_password` is set."""
        return self._psql(database, "--file", str(path))

    def run(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program under the server's account and return its output; ServiceError if it fails."""
        return self.execute(_program(name), *arguments, environment=environment)

    def _psql(self, database: str, *arguments: str) -> str:
        return self.run(
            "psql",
            *("--host", self.socket_dir, "--port", str(self.port), "--username", SUPERUSER, "--dbname", database),
            *("--no-psqlrc", "--no-align", "--tuples-only", "--quiet"),
            *("--set=ON_ERROR_STOP=1", f"--set=app_password={PASSWORD}"),
            *arguments,
            environment={"PGPASSWORD": SUPERUSER_PASSWORD, "PGOPTIONS": "--client-min-messages=warning"},
        )

    def _copy(self, source: Path) -> Path:
        copy = Path(shutil.copy(source, self.data))
        self._own(copy)
        return copy

    def _own(self, path: Path) -> None:
        if self.account is not None:
            shutil.chown(path, self.account, self.account)


def _program(name: str) -> str:
    """Debian keeps PostgreSQL's programs outside PATH, and has a slow wrapper for psql in it."""
    directories = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return program(name, *map(str, reversed(directories)))
