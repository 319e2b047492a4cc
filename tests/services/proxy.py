"""A TCP proxy on loopback that counts what passes, and can delay it, hold it back or cut it off."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.services.proxy_side import Side

if TYPE_CHECKING:
    from typing_extensions import Self

ANSWER_SECONDS = 10


async def stop_tasks(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel the tasks of a closed server, once those in which the loop accepts connections have come to their end."""
    this = asyncio.current_task()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task not in tasks and task is not this))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Proxy:
    """In front of any (host, port); runs on an event loop in a thread of its own, inside the test's process.

    `connections` counts those accepted, `bytes_up` and `bytes_down` what clients and server sent, `round_trips` how
    often a client spoke that was new or had been answered.
    """

    host = "127.0.0.1"

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self.flowing = True
        self.answering = True
        self.delay_seconds = 0.0
        self.reset_counters()
        self._sides: set[Side] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._listening, self._closing = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def reset_counters(self) -> None:
        self.connections = self.round_trips = self.bytes_up = self.bytes_down = 0

    @property
    def open_connections(self) -> int:
        """How many clients have not closed theirs."""
        return sum(side.is_client and not side.ended for side in list(self._sides))

    def drop(self) -> None:
        """A black hole: nothing passes either way, sockets stay open, new connections are accepted and not answered."""
        self._call(self._drop)

    def drop_answers(self) -> None:
        """Half a black hole: what clients send arrives, what the server answers does not; sockets stay open."""
        self._call(self._drop_answers)

    def resume(self) -> None:
        """Let everything pass again, first what was held back."""
        self._call(self._resume)

    def cut(self) -> None:
        """Reset (RST) the connections there are."""
        self._call(self._cut)

    def delay(self, seconds: float) -> None:
        """Let every byte arrive so much later, each way, without loss of throughput."""
        self.delay_seconds = seconds

    def start(self) -> None:
        # Not epoll: it rounds delays up to whole milliseconds.
        self.loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        self._thread.start()
        self._listening.wait(ANSWER_SECONDS)

    def close(self) -> None:
        """Reset the connections and give the port back."""
        if self._thread.is_alive():
            self._call(self._closing.set)
            self._thread.join(ANSWER_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def opened(self, side: Side) -> None:
        self._sides.add(side)
        if side.is_client:
            self.connections += 1
            if self.flowing:
                self._connect(side)

    def closed(self, side: Side) -> None:
        self._sides.discard(side)

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self.loop).result(ANSWER_SECONDS)

    def _drop(self) -> None:
        self.flowing = False

    def _drop_answers(self) -> None:
        self.answering = False

    def passes(self, side: Side) -> bool:
        """Return whether what this side has sent is passed on now."""
        return self.flowing and (self.answering or side.is_client)

    def _resume(self) -> None:
        self.flowing = self.answering = True
        for side in list(self._sides):
            side.release()
            if side.is_client and side.peer is None:
                self._connect(side)

    def _cut(self) -> None:
        for side in self._sides:
            side.reset()

    def _connect(self, client: Side) -> None:
        client.peer = Side(self, peer=client)
        task = self.loop.create_task(self._open(client, client.peer))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _open(self, client: Side, server: Side) -> None:
        try:
            await self.loop.create_connection(lambda: server, *self.target)
        except OSError:
            client.reset()  # as near as one comes to a refusal after having accepted

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        server = await self.loop.create_server(lambda: Side(self), self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._closing.wait()
        server.close()
        self._drop()  # calls the server no more
        await stop_tasks(self._connecting)
        self._cut()
        while self._sides:  # until the loop has reported the end of each
            await asyncio.sleep(0)
