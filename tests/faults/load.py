"""How many threads and connections a system has, now or at most during a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults import sockets

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Load:
    """Threads and connections of the process, and the connections that one server (or the proxy before it) has."""

    threads: int
    connections: int
    on_server: int

    def within(self, allowed: Load) -> bool:
        return most_of(self, allowed) == allowed

    def plus(self, *, threads: int = 0, connections: int = 0, on_server: int = 0) -> Load:
        return Load(self.threads + threads, self.connections + connections, self.on_server + on_server)


NONE = Load(0, 0, 0)


class Most:
    load = NONE


@dataclass(frozen=True)
class Loads:
    """Of the process `pid`, whose dependencies are at `ports`."""

    pid: int
    ports: frozenset[int]

    def now(self, port: int) -> Load:
        """With what the server at `port` has."""
        connections = sockets.outgoing(self.pid, self.ports).total()
        return Load(sockets.threads(self.pid), connections, sockets.incoming(self.pid, port))

    @contextmanager
    def sampled(self, *ports: int) -> Iterator[Most]:
        """The most of each that there is at a time meanwhile; known at the end."""
        most, done = Most(), threading.Event()

        def sample() -> None:
            while True:
                for port in ports:
                    most.load = most_of(most.load, self.now(port))
                if done.wait(SAMPLE_SECONDS):
                    return

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield most
        finally:
            done.set()
            thread.join()


def most_of(one: Load, other: Load) -> Load:
    return Load(
        max(one.threads, other.threads),
        max(one.connections, other.connections),
        max(one.on_server, other.on_server),
    )
