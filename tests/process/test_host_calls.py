"""How many system calls a sweep makes on the file that processes share, as `strace` counts them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.process.host import Start, Worker, on_linux

TRACE = ("strace", "-f", "-qq", "-y", "--seccomp-bpf", "-e", "trace=fcntl,pread64,pwrite64")
CHECKS = 22
BOUND = 40
SWEEPS = 10


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
    assert min(sweep.count(f"<{directory}/store/") for sweep in sweeps[3:]) <= BOUND
