"""`PROBE_SERVER` in the workers of real servers: begun without a request, and only there."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import ROOT, run
from tests.django.serving import GUNICORN, UVICORN, UWSGI, Server, answers, listeners, send_request, serving
from tests.process.probes import fetch
from tests.services import free_port, wait_until

pytestmark = pytest.mark.services

TOKEN = "a-token-for-those-who-know"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
SERVERS = {
    "gunicorn-sync": (*GUNICORN, "--workers", "2"),
    "gunicorn-gthread": (*GUNICORN, "--workers", "2", "--threads", "4"),
    "gunicorn-preload": (*GUNICORN, "--workers", "2", "--preload"),
    "gunicorn-gthread-preload": (*GUNICORN, "--workers", "2", "--threads", "4", "--preload"),
    "uvicorn": (*UVICORN, "--workers", "2"),
}
ASGI = "demo.asgi:application"
# Servers that set their signal handlers after they have loaded the application.
LATE_HANDLERS = {
    "uvicorn-one": UVICORN,
    "gunicorn-uvicorn": ("gunicorn", ASGI, *GUNICORN[2:], "--worker-class", "uvicorn_worker.UvicornWorker"),
    # With workers of its own it signals none of them: only one process can be seen to drain.
    "hypercorn": ("hypercorn", ASGI, "--bind", "127.0.0.1:{port}", "--graceful-timeout", "20", "--workers", "0"),
    "granian": ("granian", ASGI, "--interface", "asgi", "--port", "{port}"),
    "daphne": ("daphne", ASGI, "--bind", "127.0.0.1", "--port", "{port}"),
}
# It takes signals by itself, without a notice.
WITHOUT_DRAINING = {"uwsgi": UWSGI, "uwsgi-lazy": (*UWSGI, "--lazy-apps")}
ALL = {**SERVERS, **WITHOUT_DRAINING}


def project(folder: Path, **lifesigns: Any) -> tuple[dict[str, Any], str]:
    """Settings of a project that serves probes, and their address."""
    address = f"127.0.0.1:{free_port()}"
    busy = ["cpu_load", "memory_usage", "disk_space"]
    options = {"PROBE_SERVER": address, "TOKENS": [TOKEN], "NETWORKS": [], "DISABLED": busy, **lifesigns}
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}
    return {"DATABASES": {"default": database}, "LIFESIGNS": options}, address


def code(address: str, path: str) -> int:
    with suppress(OSError):
        return fetch(address, path, timeout=5).code
    return 0


def body(address: str, path: str) -> bytes:
    with suppress(OSError):
        return fetch(address, path, timeout=5).body
    return b""


def pids(address: str) -> set[int]:
    """The processes that are known where the probes are answered."""
    lines = fetch(address, "/metrics", headers=KNOWN).body.decode().splitlines()
    return {int(line.split('"')[1]) for line in lines if line.startswith("health_interpreter_lag_seconds{")}


def wedged(address: str) -> list[dict[str, Any]]:
    """The processes that are named as wedged, if the service is dead."""
    answer = fetch(address, "/alive")
    assert answer.json()["status"] == ("alive" if answer.code == 200 else "wedged")
    return list(answer.json().get("wedged", ()))


def begun(server: Server, address: str, workers: int = 2) -> None:
    """Wait until that many workers listen, and no other."""
    wait_until(lambda: len(server.listening(address)) == workers, 60, server.log)
    assert server.listening(address) <= set(server.workers())


@pytest.mark.parametrize("command", ALL.values(), ids=ALL)
def test_probe_server__begins_in_each_worker_without_a_request(command: Sequence[str], tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with serving(command, tmp_path, settings) as server:
        begun(server, address)
        wait_until(lambda: code(address, "/ready") == 200, 60, server.log)
        # Each worker looks for itself, in the background: whichever answers, some of them in a row.
        wait_until(lambda: {code(address, "/startup") for _ in range(10)} == {200}, 60, server.log)
        wait_until(lambda: pids(address) == server.listening(address), 60, "not every worker is known")
        everybody, known = fetch(address, "/health").json(), fetch(address, "/health", headers=KNOWN).json()
        assert everybody["status"] == known["status"] == "healthy"
        assert "message" not in everybody["checks"]["default_cache"]
        assert known["checks"]["default_cache"]["message"]
        checks = fetch(address, "/startup", headers=KNOWN).json()["checks"]
        assert checks["migrations_applied"]["message"] == "All migrations are applied"
        # Not one request came through Django so far.
        wait_until(lambda: answers(server.port), 60, server.log)

        before = server.listening(address)
        os.kill(min(before), signal.SIGKILL)
        end = time.monotonic() + 3
        answered = 0
        while time.monotonic() < end:
            # A connection may have waited in the killed one's queue; the next one goes to the others.
            answered += any(code(address, "/alive") == 200 for _ in range(2))
            assert any(code(address, "/alive") == 200 for _ in range(2))
            time.sleep(0.02)
        assert answered > 10
        wait_until(lambda: len(server.listening(address)) == 2, 60, server.log)
        assert server.listening(address) != before
        wait_until(lambda: pids(address) == server.listening(address), 60, "the killed one is still known")


@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
def test_sigterm__drains_while_a_request_is_answered(command: Sequence[str], tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    (tmp_path / "wedging.py").write_text(WEDGING)
    settings["MIDDLEWARE"] = ["django_lifesigns.middleware.ProbeMiddleware", "wedging.slow"]
    with ExitStack() as stack, serving(command, tmp_path, settings, PYTHONPATH=_path(tmp_path)) as server:
        begun(server, address)
        wait_until(lambda: code(address, "/ready") == 200, 60, server.log)
        request = stack.enter_context(_begin_request(server.port, tmp_path))
        server.process.terminate()
        wait_until(lambda: b"draining" in body(address, "/ready"), 4, server.log)
        assert code(address, "/alive") == 200
        request.settimeout(20)
        assert b" 404 " in request.recv(100), "it is answered, if only that there is no such page"


@pytest.mark.parametrize("name", LATE_HANDLERS)
def test_sigterm__servers_with_late_handlers_drain(name: str, tmp_path: Path) -> None:
    command = LATE_HANDLERS[name]
    for module in (command[0], *("uvicorn_worker" for word in command if word.startswith("uvicorn_worker"))):
        pytest.importorskip(module)
    settings, address = project(tmp_path)
    (tmp_path / "wedging.py").write_text(WEDGING)
    settings["MIDDLEWARE"] = ["django_lifesigns.middleware.ProbeMiddleware", "wedging.slow"]
    with ExitStack() as stack, serving(command, tmp_path, settings, PYTHONPATH=_path(tmp_path)) as server:
        wait_until(lambda: code(address, "/ready") == 200 and answers(server.port), 60, server.log)
        time.sleep(0.5)  # no more than a server takes from its first answer to its handlers
        stack.enter_context(_begin_request(server.port, tmp_path))
        server.process.terminate()
        if name == "daphne":
            # It waits for no request: what is seen of it is its end.
            server.process.wait(60)
            return
        wait_until(lambda: b"draining" in body(address, "/ready"), 1.5, server.log)
        assert code(address, "/alive") == 200


def test_sigterm__probes_are_503_until_the_last_worker_ends(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    (tmp_path / "wedging.py").write_text(WEDGING)
    settings["MIDDLEWARE"] = ["django_lifesigns.middleware.ProbeMiddleware", "wedging.slow"]
    command = (*GUNICORN, "--workers", "2", "--graceful-timeout", "60")
    with ExitStack() as stack, serving(command, tmp_path, settings, PYTHONPATH=_path(tmp_path)) as server:
        begun(server, address)
        wait_until(lambda: code(address, "/ready") == 200, 60, server.log)
        request = stack.enter_context(_begin_request(server.port, tmp_path))
        request.settimeout(0.01)
        server.process.terminate()
        wait_until(lambda: b"draining" in body(address, "/ready"), 4, server.log)
        found = []
        while not _has_answer(request):
            found.append(code(address, "/ready"))
        assert len(found) > 4
        assert set(found[:-1]) == {503}, "the last one may have met the end"


def _has_answer(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1))
    except TimeoutError:
        return False


@pytest.mark.parametrize("command", WITHOUT_DRAINING.values(), ids=WITHOUT_DRAINING)
def test_uwsgi__ends_on_its_signals(command: Sequence[str], tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with serving(command, tmp_path, settings) as server:
        begun(server, address)
        wait_until(lambda: code(address, "/ready") == 200, 60, server.log)
        wait_until(server.has_loaded_workers, 60, server.log)
        workers = server.workers()
        server.process.terminate()
        # Less than the minute after which uWSGI kills a worker that has not noticed SIGTERM.
        assert server.process.wait(50) == 0, server.log()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 60, server.log)
        assert code(address, "/alive") == 0


def test_probe_server__under_runserver_in_the_child_of_the_reloader(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    command = ("django", "runserver", "127.0.0.1:{port}")
    with serving(command, tmp_path, settings) as server:
        begun(server, address, workers=1)
        wait_until(lambda: code(address, "/ready") == 200, 60, server.log)
        assert server.process.pid not in listeners(address)


def test_probe_server__neither_in_commands_nor_by_loading_the_project(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    program = f"""
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
call_command("check")
call_command("health_check")
from django.test import Client
assert Client().get("/alive/", headers={{"host": "localhost"}}).status_code == 200
import socket
assert socket.socket().connect_ex(("127.0.0.1", {address.rsplit(":", 1)[1]})) != 0
"""
    done = run(tmp_path, settings, "-W", "ignore", "-c", program)
    assert done.returncode == 0, done.stderr


def test_probe_server__an_address_of_somebody_else_harms_no_request_and_is_taken_once_free(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        taken.listen()
        with serving(SERVERS["gunicorn-sync"], tmp_path, settings) as server:
            wait_until(lambda: answers(server.port), 60, server.log)
            assert f"probe server: cannot serve {address} (Address already in use" in server.log()
            taken.close()
            wait_until(lambda: code(address, "/ready") == 200, 60, server.log)


def test_probe_server__where_a_router_raises(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    (tmp_path / "strict_routing.py").write_text("""
class OfTenants:
    def db_for_read(self, model, **hints):
        raise RuntimeError("there is no tenant")
""")
    settings["DATABASE_ROUTERS"] = ["strict_routing.OfTenants"]
    with serving(SERVERS["gunicorn-sync"], tmp_path, settings) as server:
        wait_until(lambda: code(address, "/ready") == 200, 60, server.log)
        assert fetch(f"127.0.0.1:{server.port}", "/health/detailed/").code == 200


def test_probe_server__unix_socket_and_several_addresses(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    sockets = [address, f"unix:{tmp_path}/probes"]
    settings["LIFESIGNS"]["PROBE_SERVER"] = sockets
    with serving(SERVERS["gunicorn-sync"], tmp_path, settings) as server:
        for one in sockets:
            wait_until(lambda one=one: code(one, "/ready") == 200, 60, server.log())  # type: ignore[misc]


def test_background__renews_without_a_probe_server(tmp_path: Path) -> None:
    settings, address = project(tmp_path, BACKGROUND=True, DEFAULT_TTL=1, PROBE_SERVER=None)
    with serving(SERVERS["gunicorn-sync"], tmp_path, settings) as server:
        wait_until(lambda: answers(server.port), 60, server.log)

        def found() -> Any:
            return send_request(server.port, "/health/default_cache/", host="localhost")[2]

        wait_until(lambda: json.loads(found())["cached"], 60, server.log)
        seen: set[str] = set()

        def is_renewed_twice() -> bool:
            result = json.loads(found())
            # No request had to run it, though it is fresh for a second alone.
            assert result["cached"] is True
            seen.add(result["timestamp"])
            return len(seen) >= 3

        wait_until(is_renewed_twice, 60, server.log)
        assert listeners(address) == set()


def test_startup__is_not_over_before_migrations_are_applied(tmp_path: Path) -> None:
    settings, address = project(tmp_path)
    with serving(SERVERS["gunicorn-sync"], tmp_path, settings) as server:
        (tmp_path / "db.sqlite3").rename(tmp_path / "elsewhere.sqlite3")
        begun(server, address)
        wait_until(lambda: "unapplied" in unapplied(address), 60, server.log)
        assert code(address, "/startup") == 503
        (tmp_path / "elsewhere.sqlite3").rename(tmp_path / "db.sqlite3")
        wait_until(lambda: {code(address, "/startup") for _ in range(10)} == {200}, 60, server.log)


def unapplied(address: str) -> dict[str, Any]:
    checks = fetch(address, "/startup", headers=KNOWN).json()["checks"]
    details: dict[str, Any] = checks["migrations_applied"].get("details", {})
    return details


def test_wedge__every_worker_in_c_code(tmp_path: Path) -> None:
    """Each holds the interpreter for 20 s, at the first request that comes to it."""
    settings, address = project(tmp_path, WEDGED_AFTER=2, DUMP_ON_WEDGE=True)
    (tmp_path / "wedging.py").write_text(WEDGING)
    settings["MIDDLEWARE"] = ["django_lifesigns.middleware.ProbeMiddleware", "wedging.wedge"]
    command = (*GUNICORN, "--workers", "2")
    with ExitStack() as stack, serving(command, tmp_path, settings, PYTHONPATH=_path(tmp_path)) as server:
        begun(server, address)
        workers = server.listening(address)
        wait_until(lambda: all(pids(address) == workers for _ in range(10)), 60, server.log)
        assert code(address, "/alive") == 200
        for _ in range(2):
            stack.enter_context(_begin_request(server.port, tmp_path))
        # What a worker knows of the other one is up to six seconds old.
        named: list[dict[str, Any]] = []

        def does_each_name_both() -> bool:
            answers = [wedged(address) for _ in range(10)]
            named[:] = [entry for answer in answers for entry in answer]
            return all({entry["pid"] for entry in answer} == workers for answer in answers)

        wait_until(does_each_name_both, 15, "not both workers say so of both")
        assert all(2 <= entry["seconds"] < 30 for entry in named)
        assert code(address, "/ready") == 200
        wait_until(
            lambda: all(code(address, "/alive") == 200 for _ in range(10)), 60, "not noticed that they run again"
        )
        assert "wedging.py" in server.log()


def test_wedge__event_loop_that_does_not_turn(tmp_path: Path) -> None:
    """Other threads run, so the interpreter does, too."""
    settings, address = project(tmp_path, WEDGED_AFTER=2)
    (tmp_path / "wedging.py").write_text(WEDGING)
    settings["MIDDLEWARE"] = ["django_lifesigns.middleware.ProbeMiddleware", "wedging.block"]
    with ExitStack() as stack, serving(UVICORN, tmp_path, settings, PYTHONPATH=_path(tmp_path)) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        assert code(address, "/alive") == 200
        stack.enter_context(_begin_request(server.port, tmp_path))
        wait_until(lambda: code(address, "/alive") == 503, 60, "no worker says so")
        wait_until(lambda: code(address, "/alive") == 200, 60, "it does not notice that it turns again")


WEDGING = """
import ctypes, time
from pathlib import Path
from django.utils.decorators import async_only_middleware

def note_request():
    with Path(__file__).with_suffix(".requests").open("a") as file:
        file.write("request\\n")

@async_only_middleware
def block(get_response):
    async def answer(request):
        if request.path == "/wedge/":
            note_request()
            time.sleep(8)
        return await get_response(request)
    return answer

def slow(get_response):
    def answer(request):
        if request.path == "/wedge/":
            note_request()
            # Not at once: a signal that arrives just before a sleep is handled after it.
            for _ in range(50):
                time.sleep(0.1)
        return get_response(request)
    return answer

def wedge(get_response):
    def answer(request):
        if request.path == "/wedge/":
            note_request()
            ctypes.PyDLL(None).sleep(20)
        return get_response(request)
    return answer
"""


def _path(folder: Path) -> str:
    return os.pathsep.join([str(ROOT), str(ROOT / "examples/demo"), str(folder)])


def _begin_request(port: int, folder: Path) -> socket.socket:
    """A request that a worker has, and whose response is not awaited. A sync worker that has one takes no other."""
    noted = folder / "wedging.requests"
    before = noted.stat().st_size if noted.exists() else 0
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /wedge/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_until(lambda: noted.exists() and noted.stat().st_size > before, 60, "no worker has the request")
    return connection
