"""The socket of a probe server: shared by the processes of one application, and by no others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.process.host import on_linux
from tests.process.probes import Script, answers, fetch, listening_at, open_sockets
from tests.services import free_port, wait_until

WORKER = """
engine.register("x", {"kind": "skipped", "reason": "none"})
try:
    server = engine.serve(sys.argv[1], application=sys.argv[2])
    say(server.address)
except OSError as error:
    say("OSError", error)
input()
lifesigns.drain()
say("draining")
input()
"""
ADDRESSES = ["127.0.0.1:0", "unix:{}/probe.sock"]
BOTH = pytest.mark.parametrize("address", ADDRESSES, ids=["tcp", "unix"])


def worker(stack: ExitStack, address: str, application: str = "shop") -> tuple[Script, str]:
    script = stack.enter_context(Script(WORKER, address, application))
    return script, script.line()


def codes(address: str, count: int = 40, path: str = "/ready") -> list[int | str]:
    """The status code of each probe, or the exception that there was instead."""
    found: list[int | str] = []
    for _ in range(count):
        try:
            found.append(fetch(address, path, timeout=1).code)
        except OSError as error:
            found.append(type(error).__name__)
    return found


# Another application.


@BOTH
def test_serve__address_of_another_application_is_refused(address: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        shop, bound = worker(stack, address.format(tmp_path), "shop")
        blog, refusal = worker(stack, bound, "blog")
        for named in (f"'shop' (process {shop.process.pid})", f"'blog' (process {blog.process.pid})", bound):
            assert named in refusal.replace('"', "'")
        shop.process.kill()
        shop.process.wait()
        _, again = worker(stack, bound, "blog")
        assert again == bound


def test_serve__default_application_is_that_of_the_engine(tmp_path: Path) -> None:
    port = free_port()
    script = f"import lifesigns; print(lifesigns.serve('127.0.0.1:{port}').address, flush=True); input()"
    with ExitStack() as stack:
        lines = []
        for directory in ("shop", "shop", "blog"):
            (tmp_path / directory).mkdir(exist_ok=True)
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script],
                    cwd=tmp_path / directory,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            lines.append(process.stdout.readline().strip())
        assert lines == [f"127.0.0.1:{port}", f"127.0.0.1:{port}", ""]
        assert process.stderr is not None
        assert 'is served by application "shop-' in process.stderr.read()


# Processes that end, stop or drain.


@BOTH
def test_stopped_worker__takes_no_probe(address: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, bound = worker(stack, address.format(tmp_path))
        for _ in range(2):
            worker(stack, bound)
        first.stop()
        assert codes(bound) == [200] * 40
        # Others can join all the same.
        assert worker(stack, bound)[1] == bound
        first.process.send_signal(signal.SIGCONT)


@BOTH
def test_draining_worker__leaves_probes_to_those_that_serve(address: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, bound = worker(stack, address.format(tmp_path))
        second, _ = worker(stack, bound)
        first.send_line()
        assert first.line() == "draining"
        assert codes(bound) == [200] * 40
        second.send_line()
        assert second.line() == "draining"
        assert codes(bound, 8) == [503] * 8
        assert fetch(bound, "/ready").json()["status"] == "draining"
        assert fetch(bound, "/alive").code == 200


@BOTH
def test_recycled_workers__leave_no_hole(address: str, tmp_path: Path) -> None:
    """Each worker ends by a signal that it does not handle, once the next one listens."""
    with ExitStack() as stack:
        current, bound = worker(stack, address.format(tmp_path))
        found: list[int | str] = []
        done = threading.Event()

        def probe() -> None:
            while not done.is_set():
                found.extend(codes(bound, 1, "/alive"))

        thread = threading.Thread(target=probe)
        thread.start()
        for number in range(6):
            following, _ = worker(stack, bound)
            if number % 2:
                current.process.terminate()
            else:
                current.process.kill()
            current.process.wait()
            current = following
        done.set()
        thread.join()
    assert len(found) >= 6, "at least one probe for each worker"
    # The one connection that a process has accepted when it ends is reset: that cannot be helped.
    others = [code for code in found if code != 200]
    assert "ConnectionRefusedError" not in others
    assert len(others) <= 6, others


def test_unix_socket__removed_file_comes_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        _, bound = worker(stack, f"unix:{tmp_path}/probe.sock")
        for _ in range(2):
            worker(stack, bound)
        for _ in range(3):
            (tmp_path / "probe.sock").unlink()
            wait_until(lambda: answers(bound), 10)
        # Whichever processes end, those that are left have the new socket.
        wait_until(lambda: codes(bound, 20) == [200] * 20, 10)


HOLDER = """
address = lifesigns.hold_address(sys.argv[1], application="shop")
say(address)
def start():
    pid = os.fork()
    if pid == 0:
        engine.serve(address, application="shop")
        say(os.getpid())
        time.sleep(600)
    return pid
while input():
    pid = start()
"""


def test_held_address__probes_wait_for_the_next_worker() -> None:
    with Script(HOLDER, "127.0.0.1:0") as master:
        address = master.line()
        found: list[int] = []
        for _ in range(3):
            thread = threading.Thread(target=lambda: found.append(fetch(address, "/alive", timeout=20).code))
            thread.start()
            time.sleep(0.2)
            assert thread.is_alive(), "it waits while no worker runs"
            master.send_line("start")
            child = int(master.line())
            thread.join()
            os.kill(child, signal.SIGKILL)
        assert found == [200] * 3


@on_linux
def test_held_unix_socket__all_workers_listen_at_the_file_that_comes_back(tmp_path: Path) -> None:
    with Script(HOLDER, f"unix:{tmp_path}/probe.sock") as master:
        address = master.line()
        workers = []
        for _ in range(3):
            master.send_line("start")
            workers.append(int(master.line()))
        wait_until(lambda: answers(address))
        before = listening_at(address)
        (tmp_path / "probe.sock").unlink()
        wait_until(lambda: set.intersection(listening_at(address), *map(open_sockets, workers)) - before, 30)
        assert answers(address)


# Start-up.


def full_queue(stack: ExitStack, path: Path) -> None:
    """A Unix socket whose queue is full, of a program that accepts nothing."""
    listening = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
    listening.bind(str(path))
    listening.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
        waiting.setblocking(False)
        with suppress(BlockingIOError):
            waiting.connect(str(path))


def test_serve__full_queue_of_another_program_is_refused_in_time(tmp_path: Path) -> None:
    with ExitStack() as stack:
        full_queue(stack, tmp_path / "probe.sock")
        started = time.monotonic()
        _, refusal = worker(stack, f"unix:{tmp_path}/probe.sock")
        assert "in use" in refusal
        assert time.monotonic() - started < 5


def test_probe_command__full_queue_times_out(tmp_path: Path) -> None:
    with ExitStack() as stack:
        full_queue(stack, tmp_path / "probe.sock")
        address = f"unix:{tmp_path}/probe.sock"
        command = [sys.executable, "-m", "lifesigns", "probe", "--alive", "--address", address, "--timeout", "0.5"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
        assert (result.returncode, result.stdout.strip()) == (1, f"{address} did not respond within 0.5 s")


CHILD = """
import logging
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(address)s %(message)s", defaults={"address": "-"}))
logging.basicConfig(handlers=[handler], level=logging.INFO)
server = engine.serve(sys.argv[1], application="shop")
say(server.address)
pid = os.fork()
if pid == 0:
    say("forked")
    input()
    for _ in range(200):
        engine.run()
        time.sleep(0.1)
    os._exit(0)
server.close()
say("closed")
time.sleep(60)
"""


def test_child__that_cannot_listen_says_so_once_and_tries_again() -> None:
    # No port that a connection of another process may get as soon as this one is free.
    with Script(CHILD, f"127.0.0.1:{free_port()}") as script:
        address = script.line()
        # Until the child has forked, it holds the parent's socket, too.
        assert {script.line(), script.line()} == {"forked", "closed"}
        host, port = address.split(":")
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((host, int(port)))
            taken.listen()
            script.send_line()
            line = script.line()
            assert line.startswith(f"WARNING lifesigns.probe_server {address} probe server {address}: cannot listen")
            time.sleep(2.5)
        wait_until(lambda: answers(address), 10)
        assert script.line() == f"INFO lifesigns.probe_server {address} probe server {address}: listening"


HELPER = """
import multiprocessing
engine.register("x", {"kind": "skipped", "reason": "none"})
server = engine.serve("127.0.0.1:0")
def work():
    engine.run()
    say("ran", os.getpid())
    input_pipe.recv()
    engine.resume()
    say("resumed")
    input_pipe.recv()
context = multiprocessing.get_context("fork")
input_pipe, output = context.Pipe()
say(server.address)
process = context.Process(target=work)
process.start()
for _ in range(2):
    input()
    if _ == 0:
        server.close()
        say("closed")
        input()
    output.send(None)
time.sleep(60)
"""


def test_multiprocessing_child__serves_only_on_request() -> None:
    with Script(HELPER) as script:
        address = script.line()
        assert script.line().startswith("ran ")
        script.send_line()
        assert script.line() == "closed"
        assert not answers(address)
        script.send_line()
        assert script.line() == "resumed"
        wait_until(lambda: answers(address), 5)


def test_fork__uptime_is_the_childs() -> None:
    script = """
say(engine.serve("127.0.0.1:0").address)
time.sleep(2)
pid = os.fork()
if pid == 0:
    say(engine.run()["uptime_seconds"] < 1.5)
    os._exit(0)
say(engine.run()["uptime_seconds"] > 1.5)
input()
"""
    with Script(script) as process:
        process.line()
        assert [process.line(), process.line()] == ["True", "True"]
