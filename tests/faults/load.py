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


@dataclass(frozen=True)
class Loads:
    """Of the process `pid`, whose dependencies are at `ports`."""

    pid: int
    ports: frozenset[int]

    def now(self, *ports: int) -> dict[int, Load]:
        """By port, with what the server there has."""
        found = sockets.table(self.pid)
        threads, connections = sockets.threads(self.pid), sockets.outgoing(self.pid, self.ports, found).total()
        return {port: Load(threads, connections, sockets.incoming(port, found)) for port in ports}

    @contextmanager
    def sampled(self, *ports: int) -> Iterator[dict[int, Load]]:
        """By port, the most of each that there is at a time meanwhile; known at the end."""
        most, done = dict.fromkeys(ports, NONE), threading.Event()

        def sample() -> None:
            while True:
                for port, load in self.now(*ports).items():
                    most[port] = most_of(most[port], load)
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
