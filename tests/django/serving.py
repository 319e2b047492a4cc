"""The demo project in a real server of its own process."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.django.projects import environment, migrate
from tests.services import free_port, wait_until
from tests.services.processes import kill, tree

GUNICORN = ("gunicorn", "demo.wsgi", "--bind", "127.0.0.1:{port}", "--no-control-socket")
UVICORN = ("uvicorn", "demo.asgi:application", "--port", "{port}", "--no-access-log")
UWSGI = (
    "tests.django.uwsgi",
    "--http-socket=127.0.0.1:{port}",
    "--module=demo.wsgi",
    "--master",
    "--processes=2",
    "--die-on-term",
)
COMMANDS = {"gunicorn": (*GUNICORN, "--threads", "4"), "uvicorn": UVICORN}


class Server:
    """A server process and where it answers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def listening(self, address: str) -> set[int]:
        """The workers that listen at that address of a probe server; a master that forks them may hold it for them."""
        return listeners(address) - {self.process.pid}

    def workers(self) -> list[int]:
        """The processes below the server's own that it has forked or spawned to serve."""
        return [pid for pid in tree(self.process.pid)[1:] if not _is_tracker(pid)]

    def has_loaded_workers(self) -> bool:
        """Whether both workers of uWSGI wait for requests, and neither is being replaced.

        One that loads the application, or runs what follows its fork, takes SIGTERM for an error in that, with any
        application: its master kills it after a minute (`--worker-reload-mercy`).
        """
        log, workers = self.log(), self.workers()
        are_loaded = all(_waits(pid) and f"process {pid} is done" not in log for pid in workers)
        return len(workers) == 2 and are_loaded


def _waits(pid: int) -> bool:
    """Return whether the main thread of a process waits for a connection."""
    try:
        return Path(f"/proc/{pid}/wchan").read_text() in ("do_epoll_wait", "ep_poll")
    except OSError:
        return False


@contextmanager
def serving(command: Sequence[str], folder: Path, settings: dict[str, Any], **more: str) -> Iterator[Server]:
    """The project, migrated, in the server of that command, which is not waited for."""
    migrate(folder, settings)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=port) for word in command)],
            env=environment(folder, settings, PYTHONWARNINGS="ignore", **more),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield Server(process, port, folder)
    finally:
        kill(process.pid)
        process.wait(60)


@contextmanager
def served(server: str, folder: Path, settings: dict[str, Any]) -> Iterator[int]:
    """The port at which the project, migrated, is served with these settings."""
    with serving(COMMANDS[server], folder, settings) as running:
        wait_until(lambda: answers(running.port), 60, running.log)
        yield running.port


def send_request(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Code, headers and body of an answer to a request that has these headers and no other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    finally:
        connection.close()


def answers(port: int) -> bool:
    try:
        return send_request(port, "/alive/", host="localhost")[0] > 0
    except OSError:
        return False


def listeners(address: str) -> set[int]:
    """The processes that listen at that address of a probe server."""
    port = int(address.rsplit(":", 1)[1])
    inodes = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port
    }
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(os.readlink(fd)[8:-1] in inodes for fd in (entry / "fd").iterdir()):
                    found.add(int(entry.name))
    return found


def _is_tracker(pid: int) -> bool:
    """The helper of `multiprocessing` that cleans up after the others."""
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
