"""An HTTP proxy on loopback: tunnels by CONNECT, and requests in absolute form."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from tests.servers.server import MisbehavingServer


class ForwardProxy(MisbehavingServer):
    """Connects to the port that a client names, on loopback whatever the name; `heads` are those of the requests."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, answer: bytes = b"") -> None:
        """With `answer`, that is all that clients get."""
        super().__init__(self._serve_client, tls=tls)
        self.heads: list[str] = []
        self._answer = answer

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        method, target, _ = head.decode().split(" ", 2)
        if self._answer:
            writer.write(self._answer)
            return
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        assert url.port
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", url.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            up_writer.write(head.replace(target.encode(), url.path.encode(), 1))
        answers = asyncio.ensure_future(pump(up_reader, writer))
        # With the others, so that it is cancelled when the server is closed.
        self._tasks.add(answers)
        answers.add_done_callback(self._tasks.discard)
        try:
            await pump(reader, up_writer)
            await answers
        finally:
            up_writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # one side has left
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
