"""Under gevent and eventlet: callables run on real threads, and waiting for them lets the other greenlets run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.process.host import ROOT
from tests.services import free_port, wait_until
from tests.services.processes import kill

APP = """
import ctypes, json, time
import lifesigns

engine = lifesigns.Engine()

def blocks():
    "Blocks its thread in native code, which no monkey-patching reaches."
    ctypes.CDLL(None).usleep(4_000_000)

def sleeps():
    "Sleeps as greenlets do, on a thread that has no other."
    time.sleep(0.01)

async def awaits():
    import asyncio
    await asyncio.sleep(0.01)

for check in (blocks, sleeps, awaits):
    engine.register(check.__name__, check, timeout=15)
engine.register("native", {"kind": "skipped", "reason": "none"})

def app(environ, start_response):
    path = environ["PATH_INFO"]
    answer = engine.run(refresh=True) if path == "/health" else {}
    if path == "/pending":
        answer = engine.check("blocks", refresh=True, deadline=0.2)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


GUNICORN = ("-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", "127.0.0.1:{port}", "greenlet_app:app")
UWSGI = (
    *("-m", "tests.django.uwsgi", "--http-socket=127.0.0.1:{port}", "--module=greenlet_app:app"),
    *("--master", "--die-on-term", "--gevent=50", "--gevent-monkey-patch"),
)
# gunicorn's worker for eventlet, which newer releases leave out, does the same.
EVENTLET = """
import eventlet
eventlet.monkey_patch()
from eventlet import wsgi
from greenlet_app import app
wsgi.server(eventlet.listen(("127.0.0.1", {port})), app)
"""
SERVERS = {
    "gunicorn -k gevent": GUNICORN,
    "gunicorn -k gevent --preload": (*GUNICORN, "--preload"),
    "eventlet": ("-W", "ignore", "-c", EVENTLET),
    "uwsgi --gevent": UWSGI,
}


@contextmanager
def served(folder: Path, server: tuple[str, ...]) -> Iterator[str]:
    (folder / "greenlet_app.py").write_text(APP)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *(argument.format(port=port) for argument in server)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(address), 20, "the server does not answer")
        yield address
    finally:
        kill(process.pid)
        process.wait(10)


def get(url: str) -> tuple[bytes, float]:
    started = time.monotonic()
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read(), time.monotonic() - started


def answers(address: str) -> bool:
    with suppress(OSError):
        return get(address)[0] == b"{}"
    return False


@pytest.mark.parametrize("server", SERVERS)
def test_run_in_a_greenlet_lets_other_requests_be_served(server: str, tmp_path: Path) -> None:
    with served(tmp_path, SERVERS[server]) as address, ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(get, f"{address}/health") for _ in range(5)]
        time.sleep(0.3)
        assert not any(future.done() for future in waiting)
        assert max(get(address)[1] for _ in range(10)) < 3
        for future in waiting:
            body, seconds = future.result(30)
            assert b'"status": "healthy"' in body[:30], body
            assert 3 < seconds < 12
        # The deadline of the caller ends its waiting.
        body, seconds = get(f"{address}/pending")
        assert 0.15 < seconds < 3, body
