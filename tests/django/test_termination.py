"""SIGTERM takes a process out of the load balancer before its server ends it."""

from __future__ import annotations

import signal
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
