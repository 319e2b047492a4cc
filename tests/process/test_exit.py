"""Interpreter exit, signals: nothing hangs, nothing aborts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.loops import times

PREAMBLE = """
import asyncio, os, signal, sys, threading, time
import lifesigns
engine = lifesigns.Engine()
"""


def run(script: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + script], capture_output=True, text=True, timeout=timeout
    )


# What Python prints of warnings where nothing is configured is not what these tests are about.
QUIET = "import logging; logging.getLogger('lifesigns').addHandler(logging.NullHandler());"

EXITS = {
    "idle": "engine.register('x', lambda: None); engine.run()",
    "hung": f"{QUIET} engine.register('x', lambda: time.sleep(600), timeout=0.05); engine.run()",
    "busy": QUIET
    + """
def spin():
    while True:
        pass
engine.register('x', spin, timeout=0.05); engine.run()
""",
    "busy_many": """
def work():
    sum(range(20_000))
for index in range(8):
    engine.register(str(index), work, timeout=5)
threading.Thread(target=lambda: [engine.run(refresh=True) for _ in range(10_000)], daemon=True).start()
time.sleep(0.05)
""",
    "unfinished": "engine.register('x', lambda: time.sleep(600), timeout=60); engine.run(deadline=0.01)",
    "coroutine": """
async def forever():
    await asyncio.sleep(600)
engine.register('x', forever, timeout=60); asyncio.run(engine.arun(deadline=0.01))
""",
    "native": "engine.register('x', {'kind': 'skipped', 'reason': 'none'}); engine.run()",
    "exception": f"{QUIET} engine.register('x', lambda: 1/0); engine.run()",
    "atexit": "import atexit; engine.register('x', {'kind': 'skipped', 'reason': 'none'}); atexit.register(engine.run)",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit__is_clean_and_prompt(name: str) -> None:
    def once(_: int) -> subprocess.CompletedProcess[str]:
        return run(EXITS[name])

    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(once, range(times(4, 24))):
            assert (result.returncode, result.stderr) == (0, "")


def start(script: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


HANGING_SWEEP = """
engine.register('x', lambda: time.sleep(600), timeout=300)
{handler}
threading.Timer(0.2, print, ['ready'], {{'flush': True}}).start()
engine.run()
"""


def test_ctrl_c__ends_the_waiting() -> None:
    process = start(HANGING_SWEEP.format(handler=""))
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert "KeyboardInterrupt" in stderr


def test_sigterm__during_a_sweep_ends_the_process() -> None:
    process = start(HANGING_SWEEP.format(handler=""))
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_sigterm__handler_runs_during_a_sweep() -> None:
    process = start(HANGING_SWEEP.format(handler="signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"))
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 7
