"""How many system calls a sweep makes on the file that processes share, as `strace` counts them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.process.host import Start, Worker, on_linux, runs, until

TRACE = ("strace", "-f", "-qq", "-y", "--seccomp-bpf", "-e", "trace=fcntl,pread64,pwrite64")
CHECKS = 22
BOUND = 40
SWEEPS = 10


def calls_on_store(trace: str, directory: Path) -> int:
    return trace.count(f"<{directory}/store/")


def can_trace() -> bool:
    try:
        return subprocess.run([*TRACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def register_others(worker: Worker) -> None:
    """Register native checks, callables and children of both beside the four that a worker has."""
    options = ["{'kind': 'skipped', 'reason': 'nothing to do'}", "counted"]
    for number in range(CHECKS - 4):
        parent = ", depends_on=['alive']" if number >= 10 else ""
        worker.evaluate(f"engine.register('other{number}', {options[number % 2]}, timeout=20.0{parent}) and None")


@on_linux
@pytest.mark.skipif(not can_trace(), reason="needs strace")
def test_sweep__of_22_checks_makes_few_calls_on_the_store(directory: Path, start: Start) -> None:
    calls, marker = directory / "calls", directory / "marker"
    marker.touch()
    worker = start(prefix=(*TRACE, "-o", str(calls)))
    register_others(worker)
    worker.evaluate("lifesigns.beat('worker')")
    for _ in range(SWEEPS + 3):
        report = worker.evaluate("engine.run(refresh=True)")
        assert len(report["checks"]) == CHECKS
        worker.evaluate("os.pread(os.open(directory / 'marker', os.O_RDONLY), 1, 0).decode()")
    worker.close()
    *sweeps, _ = calls.read_text().split(f"<{marker}>")
    # A machine that is busy with other things spreads what a sweep writes.
    assert min(calls_on_store(sweep, directory) for sweep in sweeps[3:]) <= BOUND


@on_linux
@pytest.mark.skipif(not can_trace(), reason="needs strace")
def test_waiting__for_many_runs_of_another_process_is_done_by_one_poller(directory: Path, start: Start) -> None:
    calls = directory / "calls"
    (directory / "seconds").write_text("2")
    runner, waiter = start(), start(prefix=(*TRACE, "-o", str(calls)))
    for worker in (runner, waiter):
        for number in range(CHECKS):
            worker.evaluate(f"engine.register('slow{number}', counted, timeout=20.0) and None")
    runner.send("engine.run(refresh=True)")
    until(lambda: len(runs(directory)) >= CHECKS)
    before, started = calls_on_store(calls.read_text(), directory), time.monotonic()
    report = waiter.evaluate("engine.run()")
    waited = time.monotonic() - started
    waiter.close()
    pid = runner.receive()["checks"]["slow0"]["message"]
    shared = [name for name, check in report["checks"].items() if check["message"] == pid]
    assert len(shared) >= CHECKS, "it waited for the other's runs"
    # One read in 8 ms, and two calls in 50 ms, take 165 a second; a poller for each check took ten times as many.
    assert calls_on_store(calls.read_text(), directory) - before <= 300 + 400 * waited


@on_linux
@pytest.mark.skipif(not can_trace(), reason="needs strace")
def test_heartbeat__is_one_write_and_one_read_without_a_lock(directory: Path, start: Start) -> None:
    calls = directory / "calls"
    worker = start(prefix=(*TRACE, "-o", str(calls)))
    worker.evaluate("globals().update(idle=lifesigns.Engine(share='host', store_path=directory / 'idle'))")
    worker.evaluate("idle.start_background()")

    def made() -> list[str]:
        return [line for line in calls.read_text().splitlines() if f"<{directory}/idle/" in line]

    def heartbeats(lines: list[str]) -> int:
        return sum("pwrite64" in line for line in lines)

    # What follows the first one: that opens the store.
    until(lambda: heartbeats(made()) >= 4)
    before = made()
    until(lambda: heartbeats(made()) >= heartbeats(before) + 3)
    later = made()[len(before) :]
    worker.close()
    assert not any("fcntl" in line for line in later), later
    assert len(later) <= 2 * heartbeats(later) + 1, later
