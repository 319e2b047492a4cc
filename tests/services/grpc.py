"""A gRPC server (grpcio in a child process) with the health service, and services in each state."""

from __future__ import annotations

import json

from tests.services.base import Service
from tests.services.certificates import certificates
from tests.services.workspace import module_command, module_environment

TOKEN = "Bearer grpc-token-91"


class Grpc(Service):
    """`grpc_server.STATES` are its services. With `protected` every call needs the `authorization` of `TOKEN`."""

    name = "grpc"

    def __init__(self, *, tls: bool = False, protected: bool = False, has_health: bool = True) -> None:
        super().__init__()
        self.tls = tls
        self.protected = protected
        self.has_health = has_health

    def arguments(self) -> list[str]:
        options: dict[str, object] = {
            "address": f"{self.host}:{self.port}",
            "token": TOKEN if self.protected else None,
            "has_health": self.has_health,
        }
        if self.tls:
            server = certificates().server
            options |= {"certificate": str(server.certificate), "key": str(server.key)}
        return module_command("grpc_server", json.dumps(options))

    def environment(self) -> dict[str, str]:
        return module_environment()
