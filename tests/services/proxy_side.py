"""One end of a connection through `Proxy`: hands what it reads to the other end, when that is due."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.services.proxy import Proxy

HELD_BYTES = 16 * 1024 * 1024  # past that it stops reading
LINGER_NOT = struct.pack("ii", 1, 0)
SO_ATTACH_FILTER = 26  # of Linux; Python has no name for it
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of the packet filter: return no byte


class Side(asyncio.Protocol):
    """The client's end (it gets its `peer` once the server is called), or the server's."""

    transport: asyncio.Transport

    def __init__(self, proxy: Proxy, peer: Side | None = None) -> None:
        self.proxy = proxy
        self.peer = peer
        self.is_client = peer is None
        self.connected = False
        self.ended = False  # has said that it will say no more
        self.end_passed_on = False
        self.blocked = False  # reads slower than the peer speaks
        self.answered = True  # what the client sends next starts a round trip
        self.held: deque[tuple[float, bytes]] = deque()  # when it is due, and the data; none is the end
        self.held_bytes = 0
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connected = True
        client = self.peer
        self.proxy.opened(self)
        if client is None:
            return
        if client.connected:
            client.release()
        else:  # gone meanwhile
            self.reset()

    def data_received(self, data: bytes) -> None:
        self._count(len(data))
        self._hold(data)

    def eof_received(self) -> bool:
        self.ended = True
        self._hold(b"")
        return True  # the other direction stays open

    def pause_writing(self) -> None:
        self.blocked = True

    def resume_writing(self) -> None:
        self.blocked = False
        if self.peer is not None:
            self.peer.release()

    def connection_lost(self, error: Exception | None) -> None:
        self.connected, self.ended = False, True
        if self.timer is not None:
            self.timer.cancel()
        if self.peer is not None and not self._finished():
            self.peer.reset()
        self.proxy.closed(self)

    def release(self) -> None:
        """Pass on what is due and may pass."""
        peer = self.peer
        while self.held and self.proxy.passes(self) and peer is not None and peer.connected and not peer.blocked:
            due, data = self.held[0]
            wait = due - self.proxy.loop.time()
            if wait > 0:
                if self.timer is not None:
                    self.timer.cancel()
                self.timer = self.proxy.loop.call_later(wait, self.release)
                break
            self.held.popleft()
            self.held_bytes -= len(data)
            if data:
                peer.transport.write(data)
            else:
                self._end(peer)
        if self.connected and self.held_bytes <= HELD_BYTES:
            self.transport.resume_reading()

    def reset(self) -> None:
        """End it with RST."""
        if self.connected:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self.transport.abort()

    def drop_packets(self) -> None:
        """From now on nothing arrives, and nothing is acknowledged, as behind a gateway that was replaced (Linux)."""
        self.blocked = True
        if self.connected:
            program = ctypes.create_string_buffer(DROP_ALL)
            filter_of_socket = struct.pack("@HP", 1, ctypes.addressof(program))
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_of_socket)

    def _end(self, peer: Side) -> None:
        self.end_passed_on = True
        with suppress(OSError):  # the peer has reset its connection, which the loop reports a moment later
            peer.transport.write_eof()
        if self._finished():
            self.transport.close()
            peer.transport.close()

    def _finished(self) -> bool:
        return self.end_passed_on and self.peer is not None and self.peer.end_passed_on

    def _hold(self, data: bytes) -> None:
        self.held.append((self.proxy.loop.time() + self.proxy.delay_seconds, data))
        self.held_bytes += len(data)
        if self.held_bytes > HELD_BYTES:
            self.transport.pause_reading()
        self.release()

    def _count(self, size: int) -> None:
        if not self.is_client:
            self.proxy.bytes_down += size
            if self.peer is not None:
                self.peer.answered = True
            return
        self.proxy.bytes_up += size
        self.proxy.round_trips += self.answered
        self.answered = False
