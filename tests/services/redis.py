"""Redis with a password, an ACL user, a Unix socket and TLS where wanted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote

from tests.services import workspace
from tests.services.base import Service, free_port, program
from tests.services.certificates import certificates

USER = "app"
# What a URL must quote is in each password on purpose.
PASSWORD = "app:redis/p@ss%43?#"
DEFAULT_PASSWORD = "default:redis/p@ss%44"

COMMAND_SECONDS = 5


class Redis(Service):
    """The ACL user `app` may do everything; so may the user `default`, with `DEFAULT_PASSWORD`."""

    name = "redis"

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self.tls_port = free_port() if tls else None

    @property
    def socket(self) -> str:
        return str(self.directory / "redis.sock")

    def prepare(self) -> None:
        lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f"unixsocket {self.socket}",
            f"dir {self.directory}",
            f'requirepass "{DEFAULT_PASSWORD}"',
            f'user {USER} on ">{PASSWORD}" ~* &* +@all',
            'save ""',
            "appendonly yes",  # so that a restart keeps the data
            "appendfsync no",
        ]
        if self.tls_port is not None:
            lines += [
                f"tls-port {self.tls_port}",
                f"tls-ca-cert-file {certificates().ca}",
                f"tls-cert-file {certificates().server.certificate}",
                f"tls-key-file {certificates().server.key}",
                "tls-auth-clients optional",
            ]
        self.configuration.write_text("\n".join(lines) + "\n")

    def program(self) -> str:
        return program("redis-server")

    def arguments(self) -> list[str]:
        return [self.program(), str(self.configuration)]

    def ready(self) -> bool:
        return self.command("PING") == "PONG"

    def command(self, *arguments: str) -> str:
        """Run a command as the user `app` with redis-cli, and return the raw answer."""
        return self.command_as(USER, PASSWORD, *arguments)

    def command_as(self, user: str, password: str, *arguments: str) -> str:
        """Run a command as another user."""
        finished = subprocess.run(
            [program("redis-cli"), "-h", self.host, "-p", str(self.port), "--user", user, *arguments],
            env={**workspace.environment(), "REDISCLI_AUTH": password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        return finished.stdout.strip()

    @property
    def url(self) -> str:
        return self.url_for(0)

    def url_for(self, database: int, *, user: str = USER, password: str = PASSWORD) -> str:
        """The URL of a database: `rediss://` where TLS is on."""
        scheme, port = ("redis", self.port) if self.tls_port is None else ("rediss", self.tls_port)
        return f"{scheme}://{user}:{quote(password, safe='')}@{self.host}:{port}/{database}"

    @property
    def socket_url(self) -> str:
        return f"unix://{USER}:{quote(PASSWORD, safe='')}@{self.socket}?db=0"

    @property
    def configuration(self) -> Path:
        return self.directory / "redis.conf"
