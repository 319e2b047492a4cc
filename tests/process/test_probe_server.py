"""The probe server answers SPEC's bodies and codes, whatever Python and the checks do, to every caller."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine
from tests.loops import times
from tests.process.probes import Script, answers, connect, fetch
from tests.servers import misbehaving
from tests.services import wait_until

SECRET = "hunter2-token"
ANYWHERE = "127.0.0.1:0"


@pytest.fixture
def engine() -> Engine:
    return Engine(default_timeout=5.0)


@pytest.fixture
def silent() -> Iterator[dict[str, Any]]:
    """A native check of a server that never answers."""
    with misbehaving.silent() as server:
        yield {"kind": "http", "url": f"http://{server.host}:{server.port}/"}


def skipped(reason: str = "none") -> dict[str, str]:
    return {"kind": "skipped", "reason": reason}


def refused() -> dict[str, Any]:
    """A native check that fails at once."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return {"kind": "tcp", "host": "127.0.0.1", "port": closed.getsockname()[1]}


PATHS = ["/alive", "/ready", "/startup", "/health", "/health/x"]


@pytest.mark.parametrize("path", [*PATHS, *(f"{path}/" for path in PATHS)])
def test_paths__answer_get_and_head_alike(engine: Engine, path: str) -> None:
    engine.register("x", skipped())
    with engine.serve(ANYWHERE) as server:
        got, head = fetch(server.address, path), fetch(server.address, path, method="HEAD")
        assert (got.code, head.code, head.body) == (200, 200, b"")
        assert got.headers["Content-Type"] == head.headers["Content-Type"] == "application/json"
        assert got.headers["Cache-Control"] == head.headers["Cache-Control"] == "no-store"
        assert isinstance(got.json(), dict)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_methods__other_than_get_and_head_are_405(engine: Engine, method: str) -> None:
    with engine.serve(ANYWHERE) as server:
        answer = fetch(server.address, "/alive", method=method)
        assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/alive//", "/nothing", "/health/x/y", "/..%2falive", "/ALIVE"])
def test_paths__unknown_ones_are_404(engine: Engine, path: str) -> None:
    with engine.serve(ANYWHERE) as server:
        assert fetch(server.address, path).code == 404


def test_alive__runs_nothing(engine: Engine) -> None:
    engine.register("x", refused())
    with engine.serve(ANYWHERE) as server:
        answer = fetch(server.address, "/alive?query=ignored")
        assert answer.code == 200
        body = answer.json()
        assert (body["status"], body["message"]) == ("alive", "Service is alive")
        assert body["uptime_seconds"] >= 0
        assert body["timestamp"].endswith("Z")


def test_ready__needs_a_check(engine: Engine) -> None:
    with engine.serve(ANYWHERE) as server:
        answer = fetch(server.address, "/ready")
        assert (answer.code, answer.json()["status"]) == (503, "not_ready")
        assert answer.json()["message"] == fetch(server.address, "/health").json()["message"]
        engine.register("bad", refused(), critical=False)
        assert fetch(server.address, "/ready").code == 200


def test_ready__rests_on_the_critical_checks(engine: Engine) -> None:
    engine.register("good", skipped())
    engine.register("bad", refused(), critical=False)
    with engine.serve(ANYWHERE) as server:
        answer = fetch(server.address, "/ready")
        assert (answer.code, answer.json()["status"]) == (200, "ready")
        engine.register("worse", refused())
        answer = fetch(server.address, "/ready")
        body = answer.json()
        assert (answer.code, body["status"]) == (503, "not_ready")
        assert body["message"] == "Critical checks failing: worse"
        assert list(body["details"]) == ["worse"]
        assert body["details"]["worse"]["status"] == "error"


def test_ready__is_answered_within_its_budget(engine: Engine, silent: dict[str, Any]) -> None:
    engine.register("x", silent)
    with engine.serve(ANYWHERE, show_details="always") as server:
        began = time.monotonic()
        answer = fetch(server.address, "/ready")
        took = time.monotonic() - began
        assert 0.5 < took < 4
        assert answer.code == 503
        assert answer.json()["details"]["x"]["pending"] is True


def test_ready__rests_on_no_result_older_than_its_age(engine: Engine) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        engine.register("x", {"kind": "tcp", "host": "127.0.0.1", "port": listening.getsockname()[1]}, ttl=30)
        with engine.serve(ANYWHERE, ready_max_age=0.2) as server:
            assert fetch(server.address, "/ready").code == 200
            listening.close()
            wait_until(lambda: fetch(server.address, "/ready").code == 503)


def test_ready__is_503_once_draining() -> None:
    serving = "engine.register('x', lambda: True); engine.run(); say(engine.serve('127.0.0.1:0').address)"
    with Script(f"{serving}; input(); lifesigns.drain(); say('ok'); input()") as script:
        address = script.line()
        assert fetch(address, "/ready").code == 200
        script.send_line()
        assert script.line() == "ok"
        answer = fetch(address, "/ready")
        assert (answer.code, answer.json()["status"]) == (503, "draining")
        assert fetch(address, "/alive").code == 200
        script.finish()


def test_callables__are_served_from_what_is_known(engine: Engine) -> None:
    requested = threading.Event()
    free = threading.Event()

    def slow() -> str:
        if requested.is_set():
            free.wait(30)
        return "ran"

    engine.register("x", slow, ttl=0.05)
    with engine.serve(ANYWHERE, show_details="always") as server:
        engine.run()
        requested.set()
        engine.run(deadline=0.1, refresh=True)  # starts a run that hangs
        began = time.monotonic()
        answer = fetch(server.address, "/health/x")
        assert time.monotonic() - began < 10
        assert (answer.code, answer.json()["message"], answer.json()["cached"]) == (200, "ran", True)
        free.set()


def test_startup__stays_started_once_the_critical_checks_have_passed(engine: Engine) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        target = {"kind": "tcp", "host": "127.0.0.1", "port": listening.getsockname()[1]}
        engine.register("x", target, ttl=0.05)
        with engine.serve(ANYWHERE) as server:
            answer = fetch(server.address, "/startup")
            assert (answer.code, answer.json()["status"]) == (503, "starting")
            assert answer.json()["checks"]["x"]["status"] == "error"
            listening.listen()
            wait_until(lambda: fetch(server.address, "/startup").code == 200)
            assert fetch(server.address, "/startup").json()["status"] == "started"
            listening.close()
            wait_until(lambda: fetch(server.address, "/ready").code == 503)
            assert fetch(server.address, "/startup").json()["status"] == "started"


def test_startup__without_a_check_is_starting(engine: Engine) -> None:
    with engine.serve(ANYWHERE) as server:
        assert (fetch(server.address, "/startup").code, fetch(server.address, "/ready").code) == (503, 503)


def test_startup__waits_for_what_has_to_be_there_first(engine: Engine) -> None:
    engine.register("x", {"kind": "skipped", "reason": "r"})
    migrated = False
    first = Engine(default_ttl=0.05)
    first.register("migrations", lambda: migrated)
    with engine.serve(ANYWHERE, startup=first) as server:
        first.run()
        assert fetch(server.address, "/startup").code == 503
        migrated = True
        first.run(refresh=True)
        answer = fetch(server.address, "/startup")
        assert (answer.code, answer.json()["checks"]["migrations"]["status"]) == (200, "healthy")


def test_startup__starts_what_has_not_run(engine: Engine) -> None:
    engine.register("x", {"kind": "skipped", "reason": "r"})
    first = Engine(default_ttl=0.05)
    first.register("migrations", lambda: True)
    with engine.serve(ANYWHERE, startup=first) as server:
        wait_until(lambda: fetch(server.address, "/startup").code == 200)


def test_health__is_the_report(engine: Engine) -> None:
    engine.register("good", skipped())
    with engine.serve(ANYWHERE, show_details="always") as server:
        answer = fetch(server.address, "/health")
        assert (answer.code, answer.json()["status"]) == (200, "healthy")
        engine.register("bad", refused())
        answer = fetch(server.address, "/health")
        assert (answer.code, answer.json()["status"]) == (503, "unhealthy")
        expected = engine.run()
        assert answer.json().keys() == expected.keys()
        assert answer.json()["checks"]["bad"].keys() == {*expected["checks"]["bad"].keys()} - {"age_seconds"}


def test_single_check__is_its_result(engine: Engine) -> None:
    engine.register("good", skipped())
    engine.register("bad", refused(), critical=False)
    with engine.serve(ANYWHERE) as server:
        assert fetch(server.address, "/health/good").code == 200
        assert fetch(server.address, "/health/bad").code == 503
        answer = fetch(server.address, "/health/other")
        assert (answer.code, answer.json()["known"]) == (404, ["good", "bad"])


STATUSES = {"status", "timestamp", "cached", "age_seconds", "hint"}


def test_details__are_for_those_who_may_see_them(engine: Engine) -> None:
    engine.register("x", refused())
    engine.run()

    def sees_details(server: lifesigns.ProbeServer, **headers: str) -> bool:
        results = [
            fetch(server.address, "/health", headers=headers).json()["checks"]["x"],
            fetch(server.address, "/ready", headers=headers).json()["details"]["x"],
            fetch(server.address, "/startup", headers=headers).json()["checks"]["x"],
            fetch(server.address, "/health/x", headers=headers).json(),
        ]
        shown = {"message" in result for result in results}
        assert len(shown) == 1
        assert shown == {True} or all(result.keys() <= STATUSES for result in results)
        return shown == {True}

    with engine.serve(ANYWHERE, tokens=["first", SECRET]) as server:
        assert not sees_details(server)
        assert not sees_details(server, Authorization="Bearer hunter2")
        assert sees_details(server, Authorization=f"Bearer {SECRET}")
        assert sees_details(server, Authorization="bearer first")
    with engine.serve(ANYWHERE, networks=["10.0.0.0/8", "127.0.0.1"]) as server:
        assert sees_details(server)
    with engine.serve(ANYWHERE, networks=["10.0.0.0/8"]) as server:
        assert not sees_details(server)
    with engine.serve(ANYWHERE, show_details="always") as server:
        assert sees_details(server)
    with engine.serve(ANYWHERE, show_details="never", tokens=[SECRET], networks=["127.0.0.0/8"]) as server:
        assert not sees_details(server, Authorization=f"Bearer {SECRET}")


@pytest.mark.parametrize(
    "options",
    [
        {"address": "localhost:9464"},
        {"address": "9464"},
        {"address": "unix:relative"},
        {"tokens": [""]},
        {"tokens": SECRET},
        {"networks": ["10.0.0.0/33"]},
        {"networks": "10.0.0.0/8"},
        {"show_details": "sometimes"},
        {"ready_budget": 0},
        {"ready_max_age": -1},
    ],
)
def test_serve__wrong_options_are_refused(engine: Engine, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        engine.serve(**{"address": ANYWHERE, **options})
    assert SECRET not in str(error.value)


def test_serve__an_address_that_is_taken_is_an_oserror(engine: Engine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            engine.serve(f"127.0.0.1:{taken.getsockname()[1]}")


def test_client_that_closes_its_half_after_the_request__is_answered(engine: Engine) -> None:
    with engine.serve(ANYWHERE) as server, connect(server.address) as connection:
        connection.sendall(b"GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_serve__that_retries_listens_once_the_address_is_free(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = engine.serve(address, retries=True)
        assert "Address already in use" in (server.refused or "")
    with server:
        wait_until(lambda: answers(address), 20)


def test_serve__without_an_engine_says_that_the_process_is_alive() -> None:
    with lifesigns.serve(ANYWHERE) as server:
        assert fetch(server.address, "/alive").code == 200
        assert fetch(server.address, "/ready").json()["message"] == "No checks are registered"


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "unix:{}/probe.sock"])
def test_close__ends_listening_and_connections(engine: Engine, address: str, tmp_path: Path) -> None:
    server = engine.serve(address.format(tmp_path))
    reachable = server.address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "127.0.0.1")
    assert answers(reachable)
    with connect(reachable) as idle:
        server.close()
        server.close()
        assert ended(idle)
        with pytest.raises(OSError, match=r"refused|No such file"):
            connect(reachable)


def test_keep_alive__serves_many_requests_on_one_connection(engine: Engine) -> None:
    with engine.serve(ANYWHERE) as server:
        host, port = server.address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.connect()
        own = connection.sock
        for _ in range(100):
            connection.request("GET", "/alive")
            assert connection.getresponse().read()
            assert connection.sock is own
        connection.close()


# Requests that cost more than they may.


def ended(connection: socket.socket) -> bool:
    """Whether the server ends the connection without an answer, before the client gives up."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def exchange(address: str, request: bytes) -> bytes:
    """What comes back until the server ends the connection."""
    with connect(address) as connection:
        try:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionError:
            pass
        return received


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /alive HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"4"),
        (b"GET /alive HTTP/1.1\r\nHost: x\r\n" + b"".join(b"x%d: y\r\n" % i for i in range(200)) + b"\r\n", b"431"),
        (b"GET /alive HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", b"413"),
        (b"GET /alive HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"GET /alive HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"413"),
        (b"POST /alive HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"y" * 100_000, b"405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_limits__too_much_is_refused_and_the_connection_ended(engine: Engine, request_: bytes, code: bytes) -> None:
    with engine.serve(ANYWHERE) as server:
        received = exchange(server.address, request_)
        # Where the server ends a connection with data unread, the kernel may drop the answer.
        assert received == b"" or received.startswith(b"HTTP/1.1 " + code), received[:100]
        assert answers(server.address)


def test_limits__connections_that_send_nothing_or_little_are_ended(engine: Engine) -> None:
    with (
        engine.serve(ANYWHERE) as server,
        connect(server.address, 40) as idle,
        connect(server.address, 40) as drip,
        connect(server.address, 40) as kept,
    ):
        kept.sendall(b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        stop = threading.Event()

        def drop_by_drop() -> None:
            while not stop.wait(1):
                try:
                    drip.sendall(b"G")
                except OSError:
                    return

        thread = threading.Thread(target=drop_by_drop)
        thread.start()
        began = time.monotonic()
        assert all(ended(connection) for connection in (idle, kept, drip))
        assert 5 < time.monotonic() - began < 35
        stop.set()
        thread.join()


def test_limits__many_connections_keep_no_probe_out(engine: Engine) -> None:
    with engine.serve(ANYWHERE) as server, ExitStack() as stack:
        first = stack.enter_context(connect(server.address))
        for _ in range(1_050):
            stack.enter_context(connect(server.address))
        assert answers(server.address)
        assert ended(first)


def test_limits__what_clients_send_takes_no_memory() -> None:
    script = "say(engine.serve('127.0.0.1:0').address); input()"
    flood = b"GET /alive HTTP/1.1\r\nX: " + b"y" * 15_000
    with Script(script) as server, ExitStack() as stack:
        address = server.line()
        assert answers(address)
        before = resident(server.process.pid)
        for _ in range(500):
            stack.enter_context(connect(address)).sendall(flood)
        assert answers(address)
        assert resident(server.process.pid) - before < 64 * 1024
        server.finish()


def resident(pid: int) -> int:
    """KiB of memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


# Whatever Python does.

BUSY = {
    "gil held in C": "import ctypes; ctypes.PyDLL(None).sleep(3)",
    "spinning threads": """
end = time.monotonic() + 3
def spin():
    while time.monotonic() < end:
        pass
for _ in range(8):
    threading.Thread(target=spin).start()
""",
    "signal handler": "signal.signal(signal.SIGALRM, lambda *_: time.sleep(3)); signal.alarm(1); time.sleep(2)",
}


@pytest.mark.alone
@pytest.mark.parametrize("name", BUSY)
def test_busy__python_holds_up_no_probe(name: str) -> None:
    script = f"""
engine.register("x", {{"kind": "skipped", "reason": "none"}})
say(engine.serve("127.0.0.1:0").address)
{BUSY[name]}
"""
    with Script(script) as server:
        address = server.line()
        began = time.monotonic()
        while time.monotonic() - began < 2:
            for path in PATHS:
                sent = time.monotonic()
                assert fetch(address, path).code == 200
                assert time.monotonic() - sent < 0.5
        assert server.process.poll() is None
        server.finish()


# Processes.


def test_workers__share_an_address_that_survives_any_of_them() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(Script("say(engine.serve('127.0.0.1:0').address); input()"))
        address = first.line()
        others = [stack.enter_context(Script(f"say(engine.serve({address!r}).address); input()")) for _ in range(3)]
        assert {other.line() for other in others} == {address}
        for worker in (first, *others[:2]):
            worker.process.send_signal(signal.SIGKILL)
            worker.process.wait()
            assert all(answers(address) for _ in range(20))
        others[2].process.kill()
        others[2].process.wait()
        assert not answers(address)


def test_workers__take_turns_at_a_unix_socket(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/probe.sock"
    script = f"say(engine.serve({address!r}).address); input()"
    with ExitStack() as stack:
        workers = [stack.enter_context(Script(script)) for _ in range(3)]
        assert {worker.line() for worker in workers} == {address}
        for worker in workers:
            wait_until(lambda: answers(address))
            worker.process.send_signal(signal.SIGKILL)
            worker.process.wait()
        assert not answers(address)
        # What the dead one left behind is in no other's way.
        again = stack.enter_context(Script(script))
        again.line()
        assert answers(address)


def test_unix__replaces_nothing_that_is_no_stale_socket(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(OSError, match="exists"):
        engine.serve(f"unix:{file}")
    assert file.read_text() == "precious"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "taken"))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            engine.serve(f"unix:{tmp_path}/taken")


FORK = """
server = engine.serve(sys.argv[1])
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    signal.alarm(60)
    os.read(read, 1)
    engine.run()
    time.sleep(60)
say(server.address)
input()
server.close()
say(pid)
input()
os.write(write, b".")
input()
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("address", ["127.0.0.1:0", "unix:{}/probe.sock"])
def test_fork__a_child_serves_from_its_first_use_and_not_before(address: str, tmp_path: Path) -> None:
    with Script(FORK, address.format(tmp_path)) as script:
        address = script.line()
        with connect(address) as idle:
            # The child has no part in what the parent listens on, nor in the connections that it accepted.
            assert all(answers(address) for _ in range(20))
            script.send_line()
            script.line()
            assert ended(idle)
        assert not answers(address)
        script.send_line()
        wait_until(lambda: answers(address))
        script.finish()


def test_fork__of_a_busy_server_hangs_no_process() -> None:
    script = """
engine.register("x", {"kind": "skipped", "reason": "none"})
say(engine.serve("127.0.0.1:0").address)
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        engine.run()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
say("done")
input()
"""
    with Script(script) as server:
        address = server.line()
        done = threading.Event()

        def load() -> None:
            while not done.is_set():
                answers(address)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert server.line() == "done"
        done.set()
        for thread in threads:
            thread.join()
        assert answers(address)
        server.finish()


def test_exit__is_clean_and_prompt_while_probes_come_in() -> None:
    script = """
engine.register("x", lambda: None)
say(engine.serve("127.0.0.1:0").address)
engine.run()
time.sleep(0.05)
"""
    for _ in range(times(5, 20)):
        with Script(script) as server:
            address = server.line()
            while answers(address):
                pass
            server.finish(timeout=10)
