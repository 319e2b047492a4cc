"""Processes that end, stop or fork while they run a check for others."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.process.host import ROOT, Start, Worker, needs_root, on_linux, runs, store, until, where_shared

pytestmark = where_shared


def test_kill__of_leader_hands_the_run_to_a_waiter(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("60")
    first, second = start(), start()
    second.evaluate("1")
    first.send("engine.check('counted')")
    until(lambda: len(runs(directory)) == 1)
    second.send("engine.check('counted')")
    time.sleep(0.1)
    assert len(runs(directory)) == 1, "the second waits for the first"
    (directory / "seconds").write_text("0")
    killed = time.monotonic()
    first.process.kill()
    result = second.receive()
    assert time.monotonic() - killed < 5.0
    assert (result["status"], result["message"]) == ("healthy", str(second.process.pid))


def test_stop__of_leader_ends_its_lease_in_time(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("60")
    first, second = start(), start()
    second.evaluate("1")
    first.send("engine.check('timely')")
    until(lambda: len(runs(directory)) == 1)
    first.process.send_signal(signal.SIGSTOP)
    try:
        (directory / "seconds").write_text("0")
        deadline = time.monotonic() + 15
        while second.evaluate("engine.check('timely')")["status"] != "healthy":
            assert time.monotonic() < deadline
    finally:
        first.process.send_signal(signal.SIGCONT)
    first.receive()
    assert second.evaluate("engine.check('timely')")["status"] == "healthy", "the late timeout changes nothing"
    assert set(runs(directory)) == {str(first.process.pid), str(second.process.pid)}


def test_lock__never_released_costs_the_sharing_and_not_the_answer(directory: Path, start: Start) -> None:
    worker = start()
    assert worker.evaluate("engine.check('counted')")["status"] == "healthy"
    with open(store(directory), "r+b") as file:
        # All that can be locked lies beyond the end of any file.
        fcntl.lockf(file, fcntl.LOCK_EX, 1 << 20, (1 << 30) + (1 << 20))
        started = time.monotonic()
        assert worker.evaluate("engine.check('counted', refresh=True)")["status"] == "healthy"
        assert time.monotonic() - started < 5
        assert any("another process holds a record" in line for line in worker.evaluate("lines"))
    assert worker.evaluate("engine.check('counted', refresh=True)")["status"] == "healthy"


def test_fork__parent_and_child_share_one_store(directory: Path, start: Start) -> None:
    worker = start()
    message = worker.evaluate("engine.check('counted')")["message"]
    child = worker.evaluate("in_child(lambda: engine.check('counted'))")
    assert (child["message"], child["cached"]) == (message, True)
    worker.evaluate("in_child(lambda: engine.breaker('guarded').force_open())")
    assert worker.evaluate("engine.breaker('guarded').mode") == "forced-open"
    grandchild = worker.evaluate("in_child(lambda: in_child(lambda: engine.breaker('guarded').mode))")
    assert grandchild == "forced-open"
    assert len(runs(directory)) == 1


def two_while_first_runs(directory: Path, start: Start, seconds: int) -> tuple[Worker, Worker]:
    """Two processes, of which the first is within a run of so many seconds."""
    (directory / "seconds").write_text(str(seconds))
    first, second = start(), start()
    second.evaluate("1")
    first.evaluate("in_thread(lambda: engine.check('counted'))")
    first.evaluate("wait_for_runs(1)")
    return first, second


def test_fork__child_waits_for_run_of_parent(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("1")
    worker = start()
    worker.evaluate("in_thread(lambda: engine.check('counted'))")
    worker.evaluate("wait_for_runs(1)")
    child = worker.evaluate("in_child(lambda: engine.check('counted'))")
    assert child["message"] == str(worker.process.pid)
    assert len(runs(directory)) == 1


@on_linux
def test_fork__child_that_lives_on_keeps_no_lock_of_a_killed_parent(directory: Path, start: Start) -> None:
    first, second = two_while_first_runs(directory, start, seconds=60)
    child = first.evaluate("leave_child()")
    try:
        second.send("engine.check('counted')")
        (directory / "seconds").write_text("0")
        killed = time.monotonic()
        first.process.kill()
        assert second.receive()["message"] == str(second.process.pid)
        assert time.monotonic() - killed < 5.0, "long before the lease runs out"
    finally:
        os.kill(child, signal.SIGKILL)


def test_fork__child_that_exits_releases_no_lock_of_its_parent(directory: Path, start: Start) -> None:
    first, second = two_while_first_runs(directory, start, seconds=1)
    assert first.evaluate("in_child(lambda: 1)") == 1
    result = second.evaluate("engine.check('counted')")
    assert result["message"] == str(first.process.pid)
    assert len(runs(directory)) == 1


@on_linux
def test_file__opened_and_closed_by_the_application_releases_no_lock(directory: Path, start: Start) -> None:
    first, second = two_while_first_runs(directory, start, seconds=1)
    first.evaluate(f"open({str(store(directory))!r}).close()")
    result = second.evaluate("engine.check('counted')")
    assert result["message"] == str(first.process.pid)
    assert len(runs(directory)) == 1


@on_linux
@needs_root
def test_containers__with_the_same_process_ids_are_different_processes(directory: Path, start: Start) -> None:
    container = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("cannot make a PID namespace here")
    (directory / "seconds").write_text("60")
    first, second = start(prefix=container), start(prefix=container)
    assert [worker.evaluate("os.getpid()") for worker in (first, second)] == [1, 1]
    first.send("engine.check('counted')")
    until(lambda: len(runs(directory)) == 1)
    second.send("engine.check('counted')")
    time.sleep(0.3)
    assert len(runs(directory)) == 1, "the second waits for the first, which is another process of the same id"
    (directory / "seconds").write_text("0")
    killed = time.monotonic()
    first.process.kill()
    assert second.receive()["status"] == "healthy"
    assert time.monotonic() - killed < 5.0
    assert len(runs(directory)) == 2


def test_kill__at_random_instants_changes_no_answer() -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.kill.kill", "--kills", "60"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
