"""What no implementation can do without: the same conversations with nothing around them.

On one thread, with blocking sockets; the answers are not looked at. What the checks request through Django's caches and
Channels' layer goes through these, as does the SQL through libpq and the handshake through OpenSSL; every other byte is
written down here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from channels.layers import get_channel_layer
from django.core.cache import caches

from benches.comparison.plain import database

SECONDS = 5.0
LARGE = 65_536
CHECKS = 22
QUESTIONS = (
    "SELECT 1, current_setting('server_version')",
    "SELECT count(*) FROM django_session",
    "SELECT PostGIS_version(), ST_AsText(ST_MakePoint(0, 0))",
    f"SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY('{{{','.join(database.FUNCTIONS)}}}')",
    f"SELECT count(to_regclass(name)) FROM unnest('{{{','.join(database.TABLES)}}}'::text[]) AS name",
    database.STATEMENTS,
    database.SLOWEST,
    database.ACTIVITY,
    database.PENDING,
    database.FAILED,
    database.ALIVE,
)
FILES = ("/proc/meminfo", "/proc/loadavg")


class Floor:
    """Connections are kept wherever Lifesigns keeps them, and the mail server's TLS session is taken up again."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.postgres = psycopg.connect(autocommit=True, **database.address(settings)).pgconn
        self.sql = ";".join(QUESTIONS).encode()
        url = urlsplit(settings["CACHES"]["default"]["LOCATION"])
        self.redis = connect(url.hostname, url.port)
        exchange(self.redis, b"AUTH %s %s\r\n" % ((url.username or "default").encode(), (url.password or "").encode()))
        self.apis = [(connect(url.hostname, url.port), request) for url, request in requests(settings)]
        self.tls = ssl.create_default_context()
        self.session: ssl.SSLSession | None = None
        self.layer, self.loop = get_channel_layer(), asyncio.new_event_loop()

    def sweep(self) -> dict[str, Any]:
        """Whatever goes wrong is raised."""
        assert self.postgres.exec_(self.sql).status == psycopg.pq.ExecStatus.TUPLES_OK
        exchange(self.redis, b"PING\r\n")
        exchange(self.redis, b"INFO\r\n")
        for connection, request in self.apis:
            exchange(connection, request)
        self.mqtt()
        self.mail()
        for alias in ("default", "select2"):
            key = uuid4().hex
            caches[alias].set(key, key, 60)
            caches[alias].get(key)
            caches[alias].delete(key)
        self.loop.run_until_complete(self.message())
        for name in ("MEDIA_ROOT", "STATIC_ROOT", "LOG_DIR"):
            write(f"{self.settings[name]}/.floor-{uuid4().hex}")
        for path in FILES:
            Path(path).read_bytes()
        os.statvfs("/")
        return {"summary": {"total_checks": CHECKS, "healthy": CHECKS}}

    def mqtt(self) -> None:
        config = self.settings["MQTT_CONFIG"]
        texts = ("MQTT", "floor", config["BROKER_USERNAME"], config["BROKER_PASSWORD"])
        name, *rest = (len(text).to_bytes(2, "big") + text.encode() for text in texts)
        packet = name + b"\x04\xc2\x00\x05" + b"".join(rest)  # version 3.1.1, clean session, 5 s
        with connect(config["BROKER_ADDRESS"], config["BROKER_PORT"]) as connection:
            assert exchange(connection, b"\x10" + bytes([len(packet)]) + packet)[3] == 0
            connection.sendall(b"\xe0\x00")

    def mail(self) -> None:
        host, user, password = (self.settings[f"EMAIL_HOST{name}"] for name in ("", "_USER", "_PASSWORD"))
        with connect(host, self.settings["EMAIL_PORT"]) as plain:
            for line in (b"", b"EHLO [127.0.0.1]\r\n", b"STARTTLS\r\n"):
                command(plain, line)
            with self.tls.wrap_socket(plain, server_hostname=host, session=self.session) as connection:
                login = b"AUTH PLAIN " + b64encode(f"\0{user}\0{password}".encode()) + b"\r\n"
                for line in (b"EHLO [127.0.0.1]\r\n", login, b"QUIT\r\n"):
                    assert command(connection, line)[:1] == b"2"
                self.session = connection.session

    async def message(self) -> None:
        channel = await self.layer.new_channel()
        await self.layer.send(channel, {"type": "probe", "id": uuid4().hex})
        await self.layer.receive(channel)
        await self.layer.wait_received()


def connect(host: str | None, port: int | None) -> socket.socket:
    connection = socket.create_connection((host, port), SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, question: bytes) -> bytes:
    """The answer, which on loopback comes in one piece."""
    if question:
        connection.sendall(question)
    answer = connection.recv(LARGE)
    assert answer, "the connection was closed"
    return answer


def command(connection: socket.socket, line: bytes) -> bytes:
    """The last line of a mail server's reply, whose lines may come one by one."""
    answer = exchange(connection, line)
    while not answer.endswith(b"\n") or answer.splitlines()[-1][3:4] == b"-":
        answer += exchange(connection, b"")
    return answer.splitlines()[-1]


def requests(settings: Mapping[str, Any]) -> list[tuple[Any, bytes]]:
    """The three that are sent to the external APIs."""
    openai, anthropic = (settings["LLM_PROVIDERS"][name] for name in ("openai", "anthropic"))
    google = f"/maps/api/geocode/json?address=x&key={settings['GOOGLE_MAP_SECRET_KEY']}"
    requests = [
        (settings["LIFESIGNS"]["GOOGLE_MAPS_BASE_URL"] + google, "Accept: */*"),
        (f"{openai['base_url']}/models", f"Authorization: Bearer {openai['api_key']}"),
        (f"{anthropic['base_url']}/v1/models", f"x-api-key: {anthropic['api_key']}\r\nanthropic-version: 2023-06-01"),
    ]
    found = []
    for address, headers in requests:
        url = urlsplit(address)
        path = f"{url.path}?{url.query}" if url.query else url.path
        found.append((url, f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\n{headers}\r\n\r\n".encode()))
    return found


def write(path: str) -> None:
    """As a check of a directory does: a file of one block, which reaches the disk and is removed."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
    os.write(file, b"\n" * 4096)
    os.fsync(file)
    os.close(file)
    os.unlink(path)
