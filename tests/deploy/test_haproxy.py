"""A real HAProxy with the shipped configuration takes instances out while they drain or fail, and back in."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.process.probes import Script
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

    def who(self) -> set[str]:
        """The instances that answer, of some requests in a row."""
        url = f"http://{self.host}:{self.port}/"
        found = set()
        for _ in range(8):
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    found.add(answer.read().decode())
            except urllib.error.HTTPError as error:
                with error:
                    found.add(str(error.code))
        return found


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
        instances["two"].tell()
        wait_until(lambda: haproxy.who() == {"one"})
        # It has let go of the one that drains before that ends, so nobody sees it end.
        with suppress(BrokenPipeError):
            instances["two"].finish()
        assert haproxy.who() == {"one"}
