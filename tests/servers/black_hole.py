"""An address on loopback where every connect hangs."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

FULL_SECONDS = 0.1  # a connect on loopback that takes longer is one that hangs


class FullBacklog:
    """It listens, its backlog is full, and no connection is accepted."""

    connections = 0

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self.host, self.port), backlog=0)
        self.port = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []
        while self._fills():
            pass
        return self

    def __exit__(self, *exception: object) -> None:
        for one in (*self._fillers, self._listener):
            one.close()

    def _fills(self) -> bool:
        filler = socket.socket()
        self._fillers.append(filler)
        filler.settimeout(FULL_SECONDS)
        with suppress(TimeoutError):
            filler.connect((self.host, self.port))
            return True
        return False
