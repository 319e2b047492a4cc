"""A worker whose interpreter is held for ever is replaced by its server, while the other one answers all along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.process.host import ROOT, on_linux
from tests.process.test_servers import environment
from tests.services import free_port, wait_until

# Starts servers: not for the interpreters of the test matrix.
pytestmark = [pytest.mark.services, on_linux]

WEDGED_AFTER = 1.5
APP = """
import ctypes, json, os, pathlib
import lifesigns

restart = {"action": "restart_wedged_worker", "arguments": {"wedged_after": 1.5}, "limit": {"per_hour": 5}}
engine = lifesigns.Engine(
    share="host", store_path=os.environ["STORE"], application="shop",
    actions={"restart": {**restart, "dry_run": False, "cooldown": 1}},
)
engine.register("native", {"kind": "disk", "paths": ["/"], "thresholds": {"degraded_above": 100, "error_above": 100}})
engine.start_background()

def hold_the_interpreter():
    pathlib.Path("held").touch()
    ctypes.PyDLL(None).sleep(600)

def answer(path):
    if path == "/wedge":
        hold_the_interpreter()
    return json.dumps({"pid": os.getpid(), "ready": engine.run()["status"], "log": engine.action_log()}).encode()

def application(environ, start_response):
    body = answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "application/json"), ("Connection", "close")])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = answer(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
"""
GUNICORN = ("gunicorn", "app:application", "--bind", "127.0.0.1:{port}", "--timeout", "300", "--no-control-socket")
UVICORN = ("uvicorn", "app:asgi", "--port", "{port}")
UWSGI = (
    "tests.django.uwsgi",
    "--http-socket=127.0.0.1:{port}",
    "--module=app:application",
    "--master",
    "--enable-threads",
    "--die-on-term",
)
# Probes that are answered at least, by clients that ask at the same time.
PROBES, CLIENTS = 2_000, 4


def fetch(port: int, path: str = "/") -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
        return json.load(response)


@contextmanager
def served(directory: Path, command: tuple[str, ...], workers: int) -> Iterator[tuple[int, set[int], Path]]:
    """A server with so many workers: its port, their pids once each has answered, and its log."""
    (directory / "app.py").write_text(APP)
    port, log = free_port(), directory / "log"
    words = [*(word.format(port=port) for word in command), "--workers", str(workers)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=directory,
            env={**environment(directory), "STORE": str(directory / "store"), "PYTHONPATH": f"{directory}:{ROOT}"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    found: set[int] = set()

    def all_answered() -> bool:
        # Of requests one after the other the same worker may take each.
        with suppress(OSError), ThreadPoolExecutor(CLIENTS) as clients:
            found.update(answer["pid"] for answer in clients.map(fetch, [port] * CLIENTS))
        return len(found) == workers

    try:
        wait_until(all_answered, 60, f"the workers answer: {log.read_text()}")
        yield port, found, log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def wedge_one(port: int, directory: Path) -> None:
    """Send a request that holds the interpreter of whichever worker takes it, and wait until it does.

    What an event loop accepted in the same turn as that request is lost with the worker, under every server.
    """

    def ask() -> None:
        with suppress(OSError):
            fetch(port, "/wedge")

    threading.Thread(target=ask, daemon=True).start()
    wait_until((directory / "held").exists, 30, "a worker holds its interpreter")


@pytest.mark.parametrize("command", [GUNICORN, UVICORN, UWSGI], ids=["gunicorn", "uvicorn", "uwsgi"])
def test_wedged_worker__is_replaced_while_the_other_one_answers(command: tuple[str, ...], tmp_path: Path) -> None:
    with served(tmp_path, command, 2) as (port, before, log):
        # Both have told each other that they serve.
        time.sleep(2)
        wedge_one(port, tmp_path)
        started = time.monotonic()
        answers: list[Any] = []

        def is_replaced() -> bool:
            with ThreadPoolExecutor(CLIENTS) as clients:
                # A probe that fails fails this test.
                answers.extend(clients.map(lambda _: fetch(port), range(50)))
            is_new = any(answer["pid"] not in before for answer in answers[-50:])
            return is_new and len(answers) >= PROBES

        wait_until(is_replaced, 300, f"another worker: {log.read_text()}")
        print(f"{len(answers)} probes answered in {time.monotonic() - started:.1f} s")
        wait_until(lambda: not all(Path(f"/proc/{pid}").exists() for pid in before), 10, "the wedged one has ended")
        (other,) = (pid for pid in before if Path(f"/proc/{pid}").exists())
        assert other in {answer["pid"] for answer in answers}
        wait_until(lambda: [entry["state"] for entry in fetch(port)["log"]] == ["healed"], 60, "it is verified")
        (entry,) = fetch(port)["log"]
        assert entry["reason"].startswith("wedged_worker fails: the interpreter of process ")
        assert entry["text"] == "the process has ended"
    text = log.read_text()
    assert "it ends, so that" in text
    assert "hold_the_interpreter" in text, "the stacks name the function"


def test_wedged_worker__the_last_one_that_serves_is_left_alone(tmp_path: Path) -> None:
    with served(tmp_path, GUNICORN, 1) as (port, (only,), log):
        wedge_one(port, tmp_path)
        time.sleep(WEDGED_AFTER + 5)
        assert Path(f"/proc/{only}").exists()
        assert "it ends, so that" not in log.read_text()
