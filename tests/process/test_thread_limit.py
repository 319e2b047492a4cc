"""The limit of threads: without any an engine gives no result and tries again; a call without one is no run."""

from __future__ import annotations

import subprocess
import sys

import pytest

PREAMBLE = """
import logging, os, resource, sys, time, traceback, threading
import lifesigns
from tests.services import wait_until

records = []
class Handler(logging.Handler):
    def emit(self, record):
        records.append(record)
logging.getLogger("lifesigns").addHandler(Handler())
logging.getLogger("lifesigns").propagate = False

engine = lifesigns.Engine()
engine.register("native", {"kind": "skipped", "reason": "none"})

def limit(room):
    "Leaves room for so many more threads; None for as many as before."
    threads = len(os.listdir("/proc/self/task"))
    resource.setrlimit(resource.RLIMIT_NPROC, (4096 if room is None else threads + room, 4096))

if os.getuid() == 0:  # a limit does not hold for root, and counts all processes of a user
    # Not that of another test that runs at the same time.
    user = 50_000 + os.getpid() % 10_000
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
else:
    sys.exit(77)
"""


def run(script: str, *arguments: object) -> None:
    command = [sys.executable, "-B", "-W", "error", "-c", PREAMBLE + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("takes root, to become a user that has no other process")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("room", [0, 1, 2])
def test_engine_without_threads_gives_no_result_and_tries_again(room: int) -> None:
    run(
        """
engine.register("callable", lambda: None)
limit(int(sys.argv[1]))
for _ in range(3):
    started = time.monotonic()
    checks = engine.run(refresh=True)["checks"]
    assert all(check["pending"] for check in checks.values()), checks
    assert time.monotonic() - started < 3
warnings = [record.getMessage() for record in records if record.name == "lifesigns"]
assert len(warnings) == 1 and "ulimit -u" in warnings[0], warnings
limit(None)
checks = engine.run()["checks"]
assert {name: check["status"] for name, check in checks.items()} == {"native": "skipped", "callable": "healthy"}
""",
        room,
    )


def test_callable_without_a_thread_is_no_run_and_is_run_once_there_is_one() -> None:
    run(
        """
engine.run()
entered, release = threading.Event(), threading.Event()
engine.register("holds", lambda: (entered.set(), release.wait(30)) and None, timeout=4)
assert engine.check("holds", deadline=0.01)["pending"]
assert entered.wait(10)
limit(0)
engine.register("quick", lambda: None, timeout=4)
for _ in range(2):
    started = time.monotonic()
    checks = engine.run(["native", "quick"], refresh=True)["checks"]
    assert checks["native"]["status"] == "skipped"
    assert checks["quick"]["pending"], checks
    assert time.monotonic() - started < 3
warnings = [record.getMessage() for record in records if "Cannot start a thread" in record.getMessage()]
assert len(warnings) == 1, [record.getMessage() for record in records]
limit(None)
wait_until(lambda: engine.check("quick", refresh=True)["status"] == "healthy")
release.set()
"""
    )
