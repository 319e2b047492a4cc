"""MariaDB, which speaks for the MySQL-compatible databases."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

from tests.services.base import Service, ServiceError, account_if_root, program

USER = "app"
PASSWORD = "app:maria/p@ss%46"


class MariaDb(Service):
    """The user `app` may do everything."""

    name = "mariadb"
    account = account_if_root("mysql")
    stop_signal = signal.SIGTERM

    def prepare(self) -> None:
        self.users.write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        self.users.chmod(0o644)
        self._run("mariadb-install-db", "--no-defaults", "--skip-test-db", f"--datadir={self.data}")

    def arguments(self) -> list[str]:
        return [
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.directory / 'mariadb.sock'}",
            f"--pid-file={self.directory / 'mariadb.pid'}",
            # When another server starts, it removes what it takes for its own temporary tables in the common directory.
            f"--tmpdir={self.directory}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            f"--init-file={self.users}",
            "--character-set-server=utf8mb4",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-use-native-aio=0",
        ]

    def ready(self) -> bool:
        with suppress(ServiceError):
            self.sql("SELECT 1")
            return True
        return False

    def sql(self, statements: str) -> str:
        """Run statements as `app` with the client program, and return the rows: columns separated by tabs."""
        server = ["--protocol=tcp", f"--host={self.host}", f"--port={self.port}", f"--user={USER}"]
        return self._run("mariadb", "--no-defaults", *server, "--batch", "--skip-column-names", "--execute", statements)

    def database(self, name: str) -> dict[str, object]:
        """An entry of Django's DATABASES."""
        return {
            "ENGINE": "tests.django.mariadb",
            "NAME": name,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "HOST": self.host,
            "PORT": str(self.port),
        }

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def users(self) -> Path:
        return self.directory / "users.sql"

    def _run(self, name: str, *arguments: str) -> str:
        return self.execute(program(name), *arguments, environment={"MYSQL_PWD": PASSWORD})
