"""The demo project in a real server of its own process."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.django.projects import environment, run
from tests.services import free_port, wait_until
from tests.services.processes import kill

COMMANDS = {
    "gunicorn": ("gunicorn", "demo.wsgi", "--bind", "127.0.0.1:{port}", "--threads", "4", "--no-control-socket"),
    "uvicorn": ("uvicorn", "demo.asgi:application", "--port", "{port}", "--no-access-log"),
}


@contextmanager
def served(server: str, folder: Path, settings: dict[str, Any]) -> Iterator[int]:
    """The port at which the project, migrated, is served with these settings."""
    migrated = run(folder, settings, "-m", "django", "migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=port) for word in COMMANDS[server])],
            env=environment(folder, settings, PYTHONWARNINGS="ignore"),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: answers(port), 30, (folder / "log").read_text())
        yield port
    finally:
        kill(process.pid)
        process.wait(10)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
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
        return ask(port, "/alive/", host="localhost")[0] > 0
    except OSError:
        return False
