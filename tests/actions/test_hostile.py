"""Actions that hang, raise, fork, exit, never end or print without end: each is one failed run, and nothing else."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.host import on_linux
from tests.services import wait_until

PROGRAM = """
import json, os, sys, threading, time
import lifesigns

def exits():
    sys.exit(3)

def interrupts():
    raise KeyboardInterrupt

def recursive():
    recursive()

def forks():
    return "the child" if os.fork() == 0 else "the parent"

def forks_and_exits():
    return sys.exit(0) if os.fork() == 0 else "the parent"

def hangs():
    time.sleep(600)

def prints():
    return "y" * (64 << 20)

def ends():
    os._exit(9)

ENDLESS = [sys.executable, "-S", "-c", "import time\\nwhile True: time.sleep(60)"]
FLOOD = [sys.executable, "-S", "-c", "import sys\\nwhile True: sys.stdout.write('y' * 65536)"]
LEAVES = ["/bin/sh", "-c", "sleep 600 & echo $!"]

engine = lifesigns.Engine(share="host", store_path=sys.argv[1], application="shop", actions={
    **{
        each.__name__: {"action": each, "timeout": 1.5}
        for each in (exits, interrupts, recursive, forks, forks_and_exits, hangs, prints, ends)
    },
    **{
        name: {"action": "run_command", "arguments": {"argv": argv}, "limit": {"per_hour": 1}, "timeout": 1.5}
        for name, argv in {"endless": ENDLESS, "flood": FLOOD, "leaves": LEAVES, "missing": ["/nowhere"]}.items()
    },
    "reload": {"action": "reload_gunicorn", "limit": {"per_hour": 1}},
})
engine.register("callable", lambda: True)
engine.run()

def act(name):
    before = len(engine.action_log())
    engine.run_action(name, "anna")
    while len(engine.action_log()) == before or engine.action_log()[-1]["state"] == "running":
        time.sleep(0.01)
    return engine.action_log()[-1]

if sys.argv[2] == "reload":
    engine.run_action("reload", "anna")
    time.sleep(4)
    found = engine.action_log()
elif sys.argv[2] == "log":
    time.sleep(float(sys.argv[3]))
    found = engine.action_log()
else:
    found = [act(name) for name in sys.argv[2:]]
assert engine.run(refresh=True)["checks"]["callable"]["status"] == "healthy"
print(json.dumps(found), flush=True)
"""


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(directory / "store"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def entries(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@on_linux
@pytest.mark.parametrize(
    ("name", "state", "text"),
    [
        ("exits", "failed", "SystemExit"),
        ("interrupts", "failed", "KeyboardInterrupt"),
        ("recursive", "failed", "RecursionError"),
        # The child holds the output open for as long as it lives.
        ("forks", "done", "the parent"),
        ("forks_and_exits", "done", "the parent"),
        ("hangs", "failed", "Timed out after 1.5 s"),
        ("endless", "failed", "Timed out after 1.5 s"),
        ("flood", "failed", ""),
        ("missing", "failed", ""),
    ],
)
def test_action__each_is_one_run_and_checks_go_on(name: str, state: str, text: str, tmp_path: Path) -> None:
    (entry,) = entries(run(tmp_path, name))
    assert (entry["state"], text in entry["text"]) == (state, True), entry["text"]


def test_action__says_little_however_much_it_returns_or_prints(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found = entries(run(tmp_path, "prints", "flood"))
    assert all(len(entry["text"]) <= 300 for entry in found)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert max(before, 400 << 10) >= peak, f"{peak >> 10} MB"


@on_linux
def test_command__leaves_no_process_behind(tmp_path: Path) -> None:
    (entry,) = entries(run(tmp_path, "leaves"))
    children = [line for line in _command_lines() if line == b"sleep\0600\0"]
    assert children == [], entry


def test_action__that_ends_its_process_is_lost(tmp_path: Path) -> None:
    assert run(tmp_path, "ends").returncode == 9

    def is_lost() -> bool:
        (entry,) = entries(run(tmp_path, "log", "1.5"))
        return bool(entry["state"] == "lost")

    wait_until(is_lost, 60)


def test_reload__signals_no_shell_that_happens_to_be_called_gunicorn(tmp_path: Path) -> None:
    (tmp_path / "gunicorn").write_text('"$@"\necho it lives\n')
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "store"), "reload"]
    done = subprocess.run(["/bin/sh", str(tmp_path / "gunicorn"), *command], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["[]", "it lives"], done.stderr


def _command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found
