"""Engines in real servers: gunicorn that forks after the engine was used, uvicorn, Celery's prefork pool."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.services import Redis, free_port, wait_until

# Starts servers: not for the interpreters of the test matrix.
pytestmark = pytest.mark.services

APP = """
import json, os, time
import lifesigns

engine = lifesigns.Engine()
engine.register("native", {"kind": "disk", "paths": ["/"], "thresholds": {"degraded_above": 100, "error_above": 100}})
engine.register("callable", lambda: str(os.getpid()))
engine.register("hung", lambda: time.sleep(600), timeout=0.1, critical=False)
# Used before the fork: what gunicorn --preload and Celery do with an application that checks its health at import.
engine.run()

def application(environ, start_response):
    body = json.dumps({"pid": os.getpid(), "report": engine.run(refresh=True)}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = json.dumps({"pid": os.getpid(), "report": await engine.arun(refresh=True)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


def environment(directory: Path) -> dict[str, str]:
    """Of a process that imports the application; without Django's settings, which pytest-django leaves there."""
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return {**kept, "PYTHONPATH": str(directory), "PYTHONWARNINGS": "ignore", "C_FORCE_ROOT": "1"}


def fetch(port: int) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
        return json.load(response)


def answers(port: int) -> bool:
    try:
        fetch(port)
    except OSError:
        return False
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and its workers, if there are any left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@contextmanager
def served(directory: Path, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server of the application in its own process group, killed at the end."""
    (directory / "app.py").write_text(APP)
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=port) for word in command)],
            cwd=directory,
            env=environment(directory),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: answers(port), 30, f"the server answers: {(directory / 'log').read_text()}")
        yield process, port
    finally:
        kill(process)


def assert_healthy(answer: Any) -> None:
    checks = answer["report"]["checks"]
    assert checks["native"]["status"] == "healthy"
    assert (checks["callable"]["status"], checks["callable"]["message"]) == ("healthy", str(answer["pid"]))
    assert checks["hung"]["error_type"] in ("TimeoutError", "StillRunningError")


GUNICORN = ("gunicorn", "app:application", "--bind", "127.0.0.1:{port}", "--workers", "2", "--no-control-socket")


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["plain", "preload"])
@pytest.mark.parametrize("worker", [[], ["--worker-class", "gthread", "--threads", "4"]], ids=["sync", "gthread"])
def test_gunicorn__every_worker_has_a_working_engine(preload: list[str], worker: list[str], tmp_path: Path) -> None:
    with served(tmp_path, *GUNICORN, *preload, *worker) as (_, port):
        pids = set()
        for _ in range(40):
            answer = fetch(port)
            assert_healthy(answer)
            pids.add(answer["pid"])
        assert pids


def test_gunicorn__recycles_workers_although_a_callable_hangs(tmp_path: Path) -> None:
    with served(tmp_path, *GUNICORN, "--preload") as (process, port):
        old = {fetch(port)["pid"] for _ in range(20)}
        process.send_signal(signal.SIGHUP)
        started = time.monotonic()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in old), 20, "the old workers end")
        assert time.monotonic() - started < 15
        wait_until(lambda: answers(port), 20, "the new workers answer")
        assert_healthy(fetch(port))


def test_gunicorn__ends_on_sigterm_although_a_callable_hangs(tmp_path: Path) -> None:
    with served(tmp_path, *GUNICORN) as (process, port):
        fetch(port)
        process.terminate()
        assert process.wait(20) == 0


def test_uvicorn__answers_many_at_once(tmp_path: Path) -> None:
    with served(tmp_path, "uvicorn", "app:asgi", "--port", "{port}", "--log-level", "warning") as (process, port):
        for _ in range(10):
            assert_healthy(fetch(port))
        process.terminate()
        process.wait(20)


def test_celery__prefork_children_have_a_working_engine(redis_server: Redis, tmp_path: Path) -> None:
    pytest.importorskip("celery")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "tasks.py").write_text(
        f"""
import celery
from app import engine, os
app = celery.Celery("tasks", broker={redis_server.url!r}, backend={redis_server.url!r})

@app.task
def health():
    return {{"pid": os.getpid(), "report": engine.run(refresh=True)}}
"""
    )
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    client = "from tasks import *; import json; print(json.dumps([health.delay().get(timeout=30) for _ in range(6)]))"
    try:
        result = subprocess.run(
            [sys.executable, "-c", client],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, (tmp_path / "log").read_text() + result.stderr
        for answer in json.loads(result.stdout):
            assert_healthy(answer)
            assert answer["pid"] != worker.pid
        worker.terminate()
        worker.wait(30)
    finally:
        kill(worker)
