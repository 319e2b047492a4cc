"""PgBouncer in transaction mode, in front of a PostgreSQL server."""

from __future__ import annotations

import signal

from tests.services.base import Service, account_if_root, program
from tests.services.cluster import DATABASE, PASSWORD, SUPERUSER, SUPERUSER_PASSWORD, USER
from tests.services.postgres import Postgres


class PgBouncer(Service):
    """Takes the users and passwords of the server behind it."""

    name = "pgbouncer"
    account = account_if_root("postgres")
    stop_signal = signal.SIGTERM  # SIGINT waits for the clients

    def __init__(self, postgres: Postgres) -> None:
        super().__init__()
        self.postgres = postgres

    def prepare(self) -> None:
        users = {USER: PASSWORD, SUPERUSER: SUPERUSER_PASSWORD}
        (self.directory / "users").write_text("".join(f'"{user}" "{users[user]}"\n' for user in users))
        lines = [
            "[databases]",
            f"{DATABASE} = host={self.postgres.host} port={self.postgres.port}",
            "[pgbouncer]",
            f"listen_addr = {self.host}",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = scram-sha-256",
            f"auth_file = {self.directory / 'users'}",
            f"admin_users = {SUPERUSER}",
            "pool_mode = transaction",
            "ignore_startup_parameters = extra_float_digits",
        ]
        (self.directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")

    def arguments(self) -> list[str]:
        return [program("pgbouncer"), str(self.directory / "pgbouncer.ini")]

    @property
    def dsn(self) -> str:
        return self.postgres.dsn.replace(f":{self.postgres.port}/", f":{self.port}/")

    def database(self) -> dict[str, object]:
        """An entry of Django's DATABASES."""
        return {**self.postgres.database(), "PORT": str(self.port), "DISABLE_SERVER_SIDE_CURSORS": True}
