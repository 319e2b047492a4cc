"""A Redis Sentinel that watches one server, with a password and TLS where wanted."""

from __future__ import annotations

from tests.services.base import Service, program
from tests.services.certificates import certificates
from tests.services.redis import PASSWORD, USER, Redis

MASTER = "mymaster"


class Sentinel(Redis):
    """Knows `master` under the name `mymaster`, and logs in there as the user `app`.

    With `password` it requires the same user and password of clients; else none.
    """

    name = "sentinel"

    def __init__(self, master: Redis, *, password: bool = False, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self.master = master
        self.password = password

    def prepare(self) -> None:
        lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f"dir {self.directory}",
            *([f'user {USER} on ">{PASSWORD}" ~* &* +@all', "user default off"] if self.password else []),
            f"sentinel monitor {MASTER} {self.master.host} {self.master.port} 1",
            f"sentinel auth-user {MASTER} {USER}",
            f'sentinel auth-pass {MASTER} "{PASSWORD}"',
        ]
        if self.tls_port is not None:
            lines += [
                f"tls-port {self.tls_port}",
                f"tls-ca-cert-file {certificates().ca}",
                f"tls-cert-file {certificates().server.certificate}",
                f"tls-key-file {certificates().server.key}",
                "tls-auth-clients no",
            ]
        self.configuration.write_text("\n".join(lines) + "\n")

    def arguments(self) -> list[str]:
        return [program("redis-server"), str(self.configuration), "--sentinel"]

    def ready(self) -> bool:
        return super().ready() if self.password else Service.ready(self)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
