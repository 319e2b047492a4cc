"""Servers that put into their answers what they were sent, and a secret of their own."""

from __future__ import annotations

import asyncio
import base64
import re
import struct
from contextlib import suppress

from tests.servers.server import Behaviour, MisbehavingServer

READ = 65_536


def postgres(secret: str) -> MisbehavingServer:
    """Refuses the password, and says which it received."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = await reader.read(READ)
        if len(sent) == 8:  # whether it speaks TLS
            writer.write(b"N")
            sent = await reader.read(READ)
        writer.write(b"R" + struct.pack("!II", 8, 3))  # requests the password in clear
        sent += await reader.read(READ)
        fields = [b"SFATAL", b"VFATAL", b"C28P01", b"M" + _received(sent, secret), b"D" + _received(sent, secret)]
        body = b"".join(field.replace(b"\0", b" ") + b"\0" for field in fields) + b"\0"
        writer.write(b"E" + struct.pack("!I", len(body) + 4) + body)

    return MisbehavingServer(behave)


def redis(secret: str) -> MisbehavingServer:
    """Answers every command with an error that quotes it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(READ):
            for _ in range(max(1, sent.count(b"*"))):
                writer.write(b"-WRONGPASS " + _received(sent, secret) + b"\r\n")

    return MisbehavingServer(behave)


def smtp(secret: str) -> MisbehavingServer:
    """Offers to log in, and refuses with what it received."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 " + _received(b"", secret) + b"\r\n")
        while sent := await reader.readline():
            if sent.upper().startswith(b"EHLO"):
                writer.write(b"250-" + _received(b"", secret) + b"\r\n250 AUTH PLAIN LOGIN\r\n")
            else:
                decoded = b"".join(map(_decoded, sent.split()))
                writer.write(b"535 5.7.8 " + _received(sent + decoded, secret) + b"\r\n")

    return MisbehavingServer(behave)


def mqtt(secret: str) -> MisbehavingServer:
    """Refuses the password, and then talks on."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = await reader.read(READ)
        writer.write(b"\x20\x02\x00\x04" + _received(sent, secret))

    return MisbehavingServer(behave)


def http(secret: str) -> MisbehavingServer:
    """Refuses every key, in a header and a body that hold it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.readuntil(b"\r\n\r\n"):
            received = _received(sent, secret)
            body = b'{"status": "REQUEST_DENIED", "error_message": "%b", "error": {"message": "%b"}}' % (
                received,
                received,
            )
            head = b"HTTP/1.1 401 %b\r\nWWW-Authenticate: Bearer realm=%b\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % (received, received, len(body)) + body)

    return MisbehavingServer(_until_closed(behave))


def _until_closed(behaviour: Behaviour) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await behaviour(reader, writer)

    return behave


def _received(sent: bytes, secret: str) -> bytes:
    """One line of printable text."""
    return re.sub(rb"[^ -~]+|\"", b" ", secret.encode() + b" " + sent)


def _decoded(word: bytes) -> bytes:
    try:
        return base64.b64decode(word, validate=True)
    except ValueError:
        return b""
