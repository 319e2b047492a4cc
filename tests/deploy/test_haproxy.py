"""A real HAProxy with the shipped configuration takes instances out while they drain or fail, and back in."""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import ROOT
from tests.django.serving import GUNICORN, serving
from tests.process.probes import Script, answers
from tests.services import Service, free_port, wait_until
from tests.services.base import program

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
INSTANCE = """
import http.server
name, port, dependency = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name.encode())
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
engine.register("dependency", {"kind": "tcp", "host": "127.0.0.1", "port": dependency})
say(engine.serve("127.0.0.1:0", ready_max_age=0.2).address)
input()
lifesigns.drain()
input()
"""


class HaProxy(Service):
    name = "haproxy"

    def __init__(self, servers: dict[str, str]) -> None:
        super().__init__()
        self._servers = servers

    def arguments(self) -> list[str]:
        return [program("haproxy"), "-db", "-f", str(CONFIGURATION)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self._servers, "BIND": f"{self.host}:{self.port}"}

    def fetch(self, path: str = "/") -> str:
        """The instance that answers, or the code of an error."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=20) as answer:
                name: str = answer.read().decode()
                return name
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code)

    def who(self) -> set[str]:
        """The instances that answer, of some requests in a row."""
        return {self.fetch() for _ in range(8)}


class Dependency:
    """A port where something listens, or nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self._socket: socket.socket | None = None

    def start(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=1_000)

    def stop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@pytest.fixture
def dependencies() -> Iterator[dict[str, Dependency]]:
    found = {name: Dependency() for name in ("one", "two")}
    for dependency in found.values():
        dependency.start()
    yield found
    for dependency in found.values():
        dependency.stop()


@pytest.mark.services
def test_haproxy__takes_out_who_drains_or_fails_and_back_in(dependencies: dict[str, Dependency]) -> None:
    with ExitStack() as stack:
        instances, servers = {}, {}
        for name, dependency in dependencies.items():
            port = free_port()
            instance = stack.enter_context(Script(INSTANCE, name, str(port), str(dependency.port)))
            instances[name] = instance
            servers[name.upper()] = f"127.0.0.1:{port}"
            servers[f"{name.upper()}_PROBES"] = instance.line().rsplit(":", 1)[1]
        haproxy = stack.enter_context(HaProxy(servers))
        wait_until(lambda: haproxy.who() == {"one", "two"})
        dependencies["one"].stop()
        wait_until(lambda: haproxy.who() == {"two"})
        dependencies["one"].start()
        wait_until(lambda: haproxy.who() == {"one", "two"})
        instances["two"].send_line()
        wait_until(lambda: haproxy.who() == {"one"})
        # It has let go of the one that drains before that ends, so no client sees it end.
        with suppress(BrokenPipeError):
            instances["two"].finish()
        assert haproxy.who() == {"one"}


NAMING = """
import os, time
from pathlib import Path
from django.http import HttpResponse
def answer(get_response):
    def respond(request):
        if request.path == "/slow/":
            Path(__file__).with_name(f"slow-{os.environ['NAME']}-{time.monotonic_ns()}").touch()
            time.sleep(6)
        elif request.path != "/":
            return get_response(request)
        return HttpResponse(os.environ["NAME"])
    return respond
"""


@pytest.mark.services
def test_haproxy__an_instance_of_django_drains_before_it_ends(tmp_path: Path) -> None:
    """SIGTERM, as at each deployment: what it has started is answered, and no client gets an error."""
    (tmp_path / "naming.py").write_text(NAMING)
    with ExitStack() as stack:
        running, servers = {}, {}
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            probes = f"127.0.0.1:{free_port()}"
            settings: dict[str, Any] = {
                "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
                "MIDDLEWARE": ["django_lifesigns.middleware.ProbeMiddleware", "naming.answer"],
                "LIFESIGNS": {"PROBE_SERVER": probes, "DISABLED": ["cpu_load", "memory_usage", "disk_space"]},
            }
            path = os.pathsep.join([str(ROOT), str(ROOT / "examples/demo"), str(tmp_path)])
            command = (*GUNICORN, "--threads", "8")
            running[name] = stack.enter_context(serving(command, folder, settings, NAME=name, PYTHONPATH=path))
            servers[name.upper()] = f"127.0.0.1:{running[name].port}"
            servers[f"{name.upper()}_PROBES"] = probes.rsplit(":", 1)[1]
            wait_until(lambda: answers(probes), 40, running[name].log())  # noqa: B023  # at once
        haproxy = stack.enter_context(HaProxy(servers))
        wait_until(lambda: haproxy.who() == {"one", "two"}, 40)
        pool = stack.enter_context(ThreadPoolExecutor(8))
        slow = [pool.submit(haproxy.fetch, "/slow/") for _ in range(8)]
        wait_until(lambda: len(list(tmp_path.glob("slow-*"))) == 8, 20, "not all are under way")
        running["two"].process.terminate()
        # gunicorn accepts no more: what comes before HAProxy has seen two checks fail would wait until it has ended.
        time.sleep(2)
        assert haproxy.who() == {"one"}
        assert running["two"].process.poll() is None, "it has ended before it was taken out"
        assert {future.result() for future in slow} == {"one", "two"}
        assert running["two"].process.wait(20) == 0
