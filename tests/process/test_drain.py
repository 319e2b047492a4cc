"""Draining belongs to one process."""

from __future__ import annotations

import subprocess
import sys


def test_drain__marks_this_process_and_not_its_children() -> None:
    script = """
import os
import lifesigns
assert not lifesigns.draining()
lifesigns.drain()
assert lifesigns.draining()
pid = os.fork()
if pid == 0:
    os._exit(lifesigns.draining())
assert os.waitpid(pid, 0)[1] == 0
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
