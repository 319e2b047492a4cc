"""TCP servers on loopback that do what a dependency must be able to do without harming its client."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from tests.servers.black_hole import FullBacklog
from tests.servers.server import MisbehavingServer
from tests.services import free_port

__all__ = [
    "MODES",
    "FullBacklog",
    "MisbehavingServer",
    "banner",
    "closes",
    "drip",
    "flood",
    "full_backlog",
    "garbage",
    "http_huge",
    "http_redirects",
    "refused_port",
    "resets",
    "silent",
]

CHUNK = bytes(65_536)
ENDLESS = 10 * 1024**3  # bytes; a client that swallows this much has failed
LINGER_NOT = struct.pack("ii", 1, 0)


def silent() -> MisbehavingServer:
    """Accepts, listens, says nothing."""
    return MisbehavingServer(lambda reader, _: _until_closed(reader))


def closes() -> MisbehavingServer:
    """Closes at once."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()

    return MisbehavingServer(behave)


def resets(after: int = 0, *, greeting: bytes = b"") -> MisbehavingServer:
    """Says `greeting`, and resets (RST) once the client has sent `after` bytes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with suppress(asyncio.IncompleteReadError):
            await reader.readexactly(after)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        writer.transport.abort()

    return MisbehavingServer(behave)


def garbage() -> MisbehavingServer:
    """Says 4 KiB that no protocol has: invalid UTF-8, then random bytes, the same each time."""
    return _says(b"\xff\xfe\xc3\x28\xed\xa0\x80" + random.Random(0).randbytes(4096))


def banner() -> MisbehavingServer:
    """Speaks another protocol."""
    return _says(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")


def drip(prefix: bytes = b"\0", *, greeting: bytes = b"", interval: float = 1.0) -> MisbehavingServer:
    """Says `greeting` at once, then one byte of `prefix` each `interval` seconds, over and over for ever."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        for byte in itertools.cycle(prefix):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(interval)

    return MisbehavingServer(behave)


def flood(prefix: bytes = b"") -> MisbehavingServer:
    """Says `prefix`, then 10 GB of zeros as fast as they are taken."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(prefix)
        await _endless(writer, CHUNK)

    return MisbehavingServer(behave)


def http_huge() -> MisbehavingServer:
    """Answers a request with a valid header and a chunked body of 10 GB."""
    header = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(header)
        await _endless(writer, b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
        writer.write(b"0\r\n\r\n")

    return MisbehavingServer(behave)


def http_redirects() -> MisbehavingServer:
    """Answers each request with a redirect to another path, for ever, on connections that it keeps."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in itertools.count():
            await _request(reader)
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n" % number)

    return MisbehavingServer(behave)


MODES: dict[str, Callable[[], MisbehavingServer]] = {
    mode.__name__: mode for mode in (silent, closes, resets, garbage, banner, drip, flood, http_huge, http_redirects)
}


def full_backlog() -> FullBacklog:
    """Makes every connect hang."""
    return FullBacklog()


def refused_port() -> int:
    """A port where nothing listens."""
    return free_port()


def _says(data: bytes) -> MisbehavingServer:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await _until_closed(reader)

    return MisbehavingServer(behave)


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(len(CHUNK)):
        pass


async def _endless(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    for _ in range(ENDLESS // len(chunk)):
        writer.write(chunk)
        await writer.drain()


async def _request(reader: asyncio.StreamReader) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionAbortedError("no request") from error
