"""An HTTP server that answers each request after a delay: `python -m benches.scale.server SECONDS` prints its port.

It listens on all addresses of loopback, so that it is as many servers as there are checks.
"""

from __future__ import annotations

import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
BACKLOG = 4_096


class Delayed(asyncio.Protocol):
    """One connection. A request without a body ends with an empty line, and comes in one piece."""

    seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(self.seconds, self.transport.write, ANSWER)


async def main(seconds: float) -> None:
    Delayed.seconds = seconds
    server = await asyncio.get_running_loop().create_server(Delayed, "0.0.0.0", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Until the standard input is closed.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
