"""Which of the processes that share the socket of a probe server accept its connections."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.host import on_linux
from tests.process.probes import Script, fetch
from tests.services import wait_until

pytestmark = on_linux
WORKER = """
engine = lifesigns.Engine(store_path=sys.argv[1], share="host")
engine.register("x", {"kind": "skipped", "reason": "none"})
say(engine.serve(sys.argv[2], application="shop").address)
input()
lifesigns.drain()
say("draining")
input()
"""
# Longer than it takes until the status of a process expires that wrote it just before.
SEEN_SECONDS = 60.0


def accepts(worker: Script, address: str) -> bool:
    """Whether connections wake its probe server: one of its epolls has the socket."""
    process = Path(f"/proc/{worker.process.pid}")
    port = int(address.rsplit(":", 1)[1])
    inode = re.search(rf":{port:04X} 00000000:0000 0A .*? (\d+) 1 ", (process / "net/tcp").read_text())
    assert inode is not None
    for entry in (process / "fd").iterdir():
        if os.readlink(entry) == f"socket:[{inode[1]}]":
            watched = rf"tfd: +{entry.name} "
            return any(re.search(watched, info.read_text()) for info in (process / "fdinfo").iterdir())
    return False


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[list[Script], str]]:
    """Five processes that serve one address, two of which accept."""
    with ExitStack() as stack:
        address = "127.0.0.1:0"
        scripts = []
        for _ in range(5):
            scripts.append(stack.enter_context(Script(WORKER, str(tmp_path / "store"), address)))
            address = scripts[-1].line()
        wait_until(lambda: len(accepting(scripts, address)) == 2, SEEN_SECONDS)
        yield scripts, address


def accepting(workers: list[Script], address: str) -> list[Script]:
    """Those that accept; the next connection shows the others that it is not their turn."""
    assert fetch(address, "/ready").code == 200
    return [worker for worker in workers if accepts(worker, address)]


def test_two_accept__the_others_take_over_from_those_that_have_ended(workers: tuple[list[Script], str]) -> None:
    scripts, address = workers
    assert [fetch(address, "/ready").code for _ in range(40)] == [200] * 40
    first = accepting(scripts, address)
    assert len(first) == 2
    for worker in first:
        worker.process.kill()
        worker.process.wait()
    rest = [worker for worker in scripts if worker not in first]
    wait_until(lambda: len(accepting(rest, address)) == 2, SEEN_SECONDS)


def test_both_stopped__another_one_accepts_what_they_leave(workers: tuple[list[Script], str]) -> None:
    scripts, address = workers
    stopped = accepting(scripts, address)
    for worker in stopped:
        worker.stop()
    assert [fetch(address, "/ready").code for _ in range(40)] == [200] * 40
    for worker in stopped:
        worker.process.send_signal(signal.SIGCONT)


def test_one_stopped__no_probe_waits(workers: tuple[list[Script], str]) -> None:
    scripts, address = workers
    stopped = accepting(scripts, address)[0]
    stopped.stop()
    assert [fetch(address, "/ready", timeout=1).code for _ in range(40)] == [200] * 40
    stopped.process.send_signal(signal.SIGCONT)


def test_both_drain__others_serve_at_once(workers: tuple[list[Script], str]) -> None:
    scripts, address = workers
    for worker in accepting(scripts, address):
        worker.send_line()
        assert worker.line() == "draining"
    assert [fetch(address, "/ready").code for _ in range(40)] == [200] * 40
