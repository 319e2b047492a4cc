"""Each server that Django is deployed on: its first sweep, its end, and workers that it replaces."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import ROOT
from tests.django.serving import GUNICORN, UVICORN, UWSGI, Server, answers, send_request, serving
from tests.loops import times
from tests.process.probes import fetch
from tests.services import Redis, free_port, wait_until

pytestmark = pytest.mark.services

ASGI = "demo.asgi:application"
GUNICORN_ASGI = ("gunicorn", ASGI, *GUNICORN[2:], "--worker-class", "uvicorn_worker.UvicornWorker")
HYPERCORN = ("hypercorn", ASGI, "--bind", "127.0.0.1:{port}", "--graceful-timeout", "20")
GRANIAN = ("granian", "--port", "{port}", "--no-ws", "--workers-kill-timeout", "20")
SERVERS: dict[str, Sequence[str]] = {
    "gunicorn-sync": (*GUNICORN, "--workers", "2"),
    "gunicorn-gthread": (*GUNICORN, "--workers", "2", "--threads", "4"),
    "gunicorn-gevent": (*GUNICORN, "--workers", "2", "--worker-class", "gevent"),
    "gunicorn-uvicorn": (*GUNICORN_ASGI, "--workers", "2"),
    "gunicorn-preload": (*GUNICORN, "--workers", "2", "--preload"),
    "uvicorn": UVICORN,
    "uvicorn-workers": (*UVICORN, "--workers", "2"),
    "hypercorn": (*HYPERCORN, "--workers", "0"),
    "hypercorn-workers": (*HYPERCORN, "--workers", "2"),
    "granian-asgi": (*GRANIAN, "--interface", "asgi", ASGI),
    "granian-wsgi": (*GRANIAN, "--interface", "wsgi", "demo.wsgi:application"),
    "daphne": ("daphne", ASGI, "--bind", "127.0.0.1", "--port", "{port}"),
    "waitress": ("waitress", "--listen", "127.0.0.1:{port}", "demo.wsgi:application"),
    "uwsgi": UWSGI,
    "uwsgi-lazy": (*UWSGI, "--lazy-apps"),
}
# gevent replaces Python's threads in each worker after it was forked.
FIRST_SWEEPS = {**SERVERS, "gunicorn-gevent-preload": (*SERVERS["gunicorn-gevent"], "--preload")}
# They end at SIGTERM without waiting for requests; hypercorn does so where it has workers.
WITHOUT_DRAINING = {"waitress", "uwsgi", "uwsgi-lazy", "hypercorn-workers"}
# granian replaces a worker by its age, of a minute at least, or by its memory, in the same way: here each is too large.
TOO_LARGE = ("--workers", "2", "--workers-max-rss", "1", "--rss-sample-interval", "4", "--respawn-interval", "1")
# With the number of requests after which they replace a worker.
RECYCLING: dict[str, Sequence[str]] = {
    **{name: (*SERVERS[name], "--max-requests", "10") for name in SERVERS if name.startswith("gunicorn")},
    "uvicorn-workers": (*SERVERS["uvicorn-workers"], "--limit-max-requests", "10"),
    "hypercorn-workers": (*SERVERS["hypercorn-workers"], "--max-requests", "10"),
    "granian-asgi": (*SERVERS["granian-asgi"], *TOO_LARGE),
    "granian-wsgi": (*SERVERS["granian-wsgi"], *TOO_LARGE),
    "uwsgi": (*UWSGI, "--max-requests", "10"),
    "uwsgi-lazy": (*UWSGI, "--lazy-apps", "--max-requests", "10"),
}
# The master of these holds the address of the probes: they wait for the next worker. The others are refused for as long
# as all workers end at once.
HOLDING = {"gunicorn-preload", "uwsgi"}
# Of one process each, which ends after so many requests and is started anew by what supervises it. daphne and waitress
# have no such limit.
ENDING: dict[str, Sequence[str]] = {
    "uvicorn": (*UVICORN, "--limit-max-requests", "10"),
    "hypercorn": (*SERVERS["hypercorn"], "--max-requests", "10"),
}
# A check that writes down each of its runs, and a page that takes its time.
MODULE = """
import time

def check():
    with open({file!r}, "a") as runs:
        runs.write("run\\n")

def slow(get_response):
    def answer(request):
        if request.path == "/slow/":
            open({file!r} + ".slow", "w").close()
            time.sleep(5)
        return get_response(request)
    return answer
"""


def project(folder: Path, **lifesigns: Any) -> tuple[dict[str, Any], str]:
    """The settings of a project that serves probes and records, and the address of its probes."""
    address = f"127.0.0.1:{free_port()}"
    (folder / "counted.py").write_text(MODULE.format(file=str(folder / "runs")))
    options = {
        "PROBE_SERVER": address,
        "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
        "CHECKS": {"counted": {"check": "counted.check", "critical": False, "ttl": 2}},
        **lifesigns,
    }
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3"), "OPTIONS": {"timeout": 20}}
    middleware = ["django_lifesigns.middleware.ProbeMiddleware", "counted.slow"]
    return {"DATABASES": {"default": database}, "MIDDLEWARE": middleware, "LIFESIGNS": options}, address


@contextmanager
def running(command: Sequence[str], folder: Path, settings: dict[str, Any]) -> Iterator[Server]:
    for module in (command[0], *(word.partition(".")[0] for word in command if word.startswith("uvicorn_worker"))):
        pytest.importorskip(module)
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples/demo", folder)))
    with serving(command, folder, settings, PYTHONPATH=path) as server:
        yield server


def ready(address: str) -> int:
    """The code of `/ready` on the probe port, or 0 if nothing answers."""
    with suppress(OSError):
        return fetch(address, "/ready", timeout=5).code
    return 0


def recorded(folder: Path) -> Counter[str]:
    """How often each result of the check is in the history, by when it was found."""
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database:
        sql = "SELECT checked_at FROM core_health_check_log WHERE check_name = 'counted'"
        return Counter(at for (at,) in database.execute(sql))


def runs(folder: Path) -> int:
    file = folder / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.parametrize("name", FIRST_SWEEPS)
def test_first_sweep_of_a_fresh_server_is_healthy(name: str, redis_server: Redis, tmp_path: Path) -> None:
    """Through Redis caches of two packages, whose imports collide where they are not made on the loading thread."""
    settings, _ = project(tmp_path, PROBE_SERVER=None)
    backends = ("django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache")
    urls = [redis_server.url_for(number) for number in (1, 2)]
    settings["CACHES"] = {
        alias: {"BACKEND": backend, "LOCATION": url}
        for alias, backend, url in zip(("default", "select2"), backends, urls, strict=True)
    }
    with running(FIRST_SWEEPS[name], tmp_path, settings) as server:
        # The first request is this one: no other has warmed anything up.
        wait_until(lambda: _accepts(server.port), 60, server.log)
        code, _, body = send_request(server.port, "/health/", host="localhost")
        statuses = {check: result["status"] for check, result in json.loads(body)["checks"].items()}
        assert (code, set(statuses.values())) == (200, {"healthy", "skipped"}), (statuses, server.log())
        assert {"default_cache", "redis_connectivity", "counted"} <= {
            check for check, status in statuses.items() if status == "healthy"
        }
        assert "Exception ignored" not in server.log()


@pytest.mark.parametrize("name", SERVERS)
def test_sigterm_probes_are_503_to_the_end(name: str, tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with running(SERVERS[name], tmp_path, settings) as server:
        wait_until(lambda: ready(address) == 200 and answers(server.port), 60, server.log)
        if name.startswith("uwsgi"):
            wait_until(server.has_loaded_workers, 60, "a worker is still loading")
        time.sleep(0.5)  # no more than a server takes from its first answer to its handlers
        with subprocess.Popen(
            ["curl", "--silent", "--output", "/dev/null", f"http://localhost:{server.port}/slow/"]
        ) as request:
            wait_until((tmp_path / "runs.slow").exists, 60, "no worker has the request")
            server.process.terminate()
            began = time.monotonic()
            found = []
            # When each was asked, on a busy machine long before its answer is noticed, and when it was noticed.
            while (asked := time.monotonic() - began) < 30 and (code := ready(address)):
                found.append((code, asked, time.monotonic() - began))
                time.sleep(0.02)
            request.kill()
        server.process.wait(60)
    if name in WITHOUT_DRAINING:
        assert found == [] or found[-1][1] < 4, "it does not end before the request does"
        return
    ready_until = max((at for code, at, _ in found if code == 200), default=0.0)
    # uvicorn's parent looks for signals twice a second, and on a busy machine is late.
    assert ready_until < 3, server.log()
    drained = [code for code, at, _ in found if at > ready_until]
    assert set(drained) == {503}
    assert found[-1][2] > 3, "it ends only with the request, of which 4 s were left"


@pytest.mark.parametrize("name", RECYCLING)
def test_recycled_workers_answer_and_lose_no_history(name: str, tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with running(RECYCLING[name], tmp_path, settings) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        wait_until(lambda: ready(address) == 200, 60, server.log)
        seen: set[int] = set()
        codes: Counter[int] = Counter()

        def is_recycled() -> bool:
            # One request at a time: workers that are replaced all the time take the processors from all others.
            seen.update(server.workers())
            answers(server.port)
            codes[ready(address)] += 1
            return len(seen) >= times(4, 8) and runs(tmp_path) >= 5

        wait_until(is_recycled, 90, server.log)
        wait_until(lambda: len(server.listening(address)) == 2 and ready(address) == 200, 60, server.log)
        if name.startswith("uwsgi"):
            wait_until(server.has_loaded_workers, 60, "a worker is still loading")
        server.process.terminate()
        server.process.wait(60)
        found, counted = recorded(tmp_path), runs(tmp_path)
    assert codes[200] > 0
    # A probe that a worker has accepted when it ends is cut: at most one for each.
    assert name not in HOLDING or codes[0] <= len(seen), (codes, server.log())
    # granian ends one worker a second after it has started another, which may be loading still: none serves but the one
    # that ends.
    assert set(codes) <= ({0, 200, 503} if name.startswith("granian") else {0, 200})
    assert codes[503] < codes[200]
    assert max(found.values()) == 1
    # The last run may end when no worker is left to record it.
    assert len(found) >= counted - 1, (len(found), counted, server.log())
    assert "are not written" not in server.log()


@pytest.mark.parametrize("name", ENDING)
def test_server_that_ends_after_its_last_request_loses_no_history(name: str, tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with running(ENDING[name], tmp_path, settings) as server:
        wait_until(lambda: ready(address) == 200, 60, server.log)
        wait_until(lambda: runs(tmp_path) >= 2, 60, server.log)
        wait_until(lambda: not answers(server.port) or server.process.poll() is not None, 60, server.log)
        server.process.wait(60)
        found, counted = recorded(tmp_path), runs(tmp_path)
    assert max(found.values()) == 1
    assert len(found) >= counted - 1, (len(found), counted, server.log())
    assert "are not written" not in server.log()


def _accepts(port: int) -> bool:
    import socket

    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
