"""A TCP or TLS server on loopback that runs a given behaviour for each connection."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.services.proxy import stop_tasks

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 10

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class MisbehavingServer:
    """Runs a behaviour for each connection, in a thread of its own; `connections` counts those accepted.

    With `tls` each connection has to start with a TLS handshake, and is counted after it.
    """

    host = "127.0.0.1"

    def __init__(self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.connections = 0
        self._behaviour = behaviour
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="misbehaving", daemon=True)

    @property
    def active(self) -> int:
        """How many connections it is still busy with."""
        return len(self._tasks)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait(START_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, self.host, 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._closing.wait()
        server.close()
        # Connections that asyncio has accepted and is still setting up, though their clients may have left already.
        await asyncio.gather(*asyncio.all_tasks() - self._tasks - {asyncio.current_task()})
        await stop_tasks(self._tasks)
        # Callbacks of the tasks abort their transports, and the loop closes their sockets: one turn after the other.
        for _ in range(3):
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._behave(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the task's own `finally`: one that is cancelled before it started never gets there.
        task.add_done_callback(lambda _: _abort(writer.transport))

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # the client has left: ECONNRESET, EPIPE, ENOTCONN
            await self._behaviour(reader, writer)
            writer.close()
            await writer.wait_closed()


def _abort(transport: asyncio.WriteTransport) -> None:
    # Python 3.11 reports the end twice, and fails, if one is aborted that has ended.
    if not transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
