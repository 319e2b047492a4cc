"""Requests to a probe server, over TCP or a Unix socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple


class Answer(NamedTuple):
    code: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def connect(address: str, timeout: float = 10) -> socket.socket:
    """A connection to `127.0.0.1:1`, `[::1]:1` or `unix:/path`."""
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(address.removeprefix("unix:"))
        except OSError:
            connection.close()
            raise
        return connection
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def fetch(
    address: str, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, timeout: float = 10
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("probe", timeout=timeout)
    connection.sock = connect(address, timeout)
    try:
        connection.request(method, path, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def answers(address: str) -> bool:
    """Whether a server answers there."""
    with suppress(OSError, http.client.HTTPException):
        return fetch(address, "/alive", timeout=2).code == 200
    return False


def open_sockets(pid: int) -> set[int]:
    """The inodes of the sockets that a process has open."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return {int(link[8:-1]) for link in links if link.startswith("socket:[")}


def listening_at(address: str) -> set[int]:
    """The inodes of the sockets that listen at `unix:/path`, also where its file was removed."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    path, accepts = address.removeprefix("unix:"), 1 << 16
    return {int(line[6]) for line in lines if line[7:] == [path] and int(line[3], 16) & accepts}


PREAMBLE = """
import os, signal, socket, sys, threading, time, warnings
import lifesigns
# Python warns of any fork beside threads; that this works is what is tested here.
warnings.simplefilter("ignore", DeprecationWarning)
engine = lifesigns.Engine()
def say(*words):
    # One write, which no other thread or process gets into.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


class Script:
    """A Python process that serves probes; what it prints with `say` is read line by line."""

    preamble = PREAMBLE

    def __init__(self, script: str, *arguments: str, prefix: Sequence[str] = ()) -> None:
        command = [*prefix, sys.executable, "-c", PREAMBLE + script, *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *exception: object) -> None:
        # Its children, too.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, "it has ended"
        return line

    def send_line(self, line: str = "") -> None:
        """Ends its next `input()`, which returns the line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """Stops it, and waits until all of its threads are: one may be accepting a connection."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")

        def is_stopped(task: Path) -> bool:
            try:
                return (task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
            except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                return True

        while not all(map(is_stopped, tasks.iterdir())):
            time.sleep(0.01)

    def finish(self, timeout: float = 30) -> None:
        """Waits for its end, which must be a clean one."""
        _, stderr = self.process.communicate("\n", timeout=timeout)
        assert (self.process.returncode, stderr) == (0, "")
