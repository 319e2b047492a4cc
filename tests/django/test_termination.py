"""SIGTERM takes a process out of the load balancer before its server ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifesigns.shutdown import wrap_sigterm
from tests.django.projects import run_json

PROGRAM = """
import json, os, signal, threading
from django.test import Client
from lifesigns.shutdown import wrap_sigterm

seen = []
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
thread = threading.Thread(target=wrap_sigterm)
thread.start()
thread.join()
untouched = signal.getsignal(signal.SIGTERM)

def fetch(path):
    answer = Client(HTTP_HOST="localhost").get(path)
    return [answer.status_code, answer.json()["status"]]

before = [fetch("/ready/"), fetch("/alive/")]  # the first request puts draining before the server's handler
replaced = signal.getsignal(signal.SIGTERM) is not untouched
os.kill(os.getpid(), signal.SIGTERM)
print(json.dumps({"before": before, "after": [fetch("/ready/"), fetch("/alive/")], "seen": seen, "replaced": replaced}))
"""


def test_sigterm__ready_is_draining_and_alive_is_alive(tmp_path: Path) -> None:
    settings = {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}
    result = run_json(tmp_path, settings, PROGRAM)
    assert result["before"] == [[200, "ready"], [200, "alive"]]
    assert result["after"] == [[503, "draining"], [200, "alive"]]
    assert result["seen"] == [signal.SIGTERM]
    assert result["replaced"]


@pytest.fixture
def sigterm() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("sigterm")
@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_sigterm__without_a_server_stays_as_it_is(handler: signal.Handlers) -> None:
    signal.signal(signal.SIGTERM, handler)
    wrap_sigterm()
    assert signal.getsignal(signal.SIGTERM) is handler


# As uvicorn has it: the signal ends the process once it has shut down, and nothing is called at the interpreter's end.
ENDED_BY_THE_SIGNAL = """
import atexit, os, signal, threading
from lifesigns.shutdown import call_at_sigterm, wrap_sigterm

called = threading.Event()

def shut_down(number, frame):
    called.wait(30)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

signal.signal(signal.SIGTERM, shut_down)
wrap_sigterm()
atexit.register(print, "exit", flush=True)
call_at_sigterm(lambda: (print(threading.current_thread() is not threading.main_thread(), flush=True), called.set()))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_sigterm__function_is_called_on_a_thread_before_the_server_shuts_down() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED_BY_THE_SIGNAL], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "True\n", "")
