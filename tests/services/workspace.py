"""The temporary directory of this process's services, and the guardian that removes it whatever happens."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.services import processes

PROJECT = Path(__file__).resolve().parents[2]
CLEAN_SECONDS = 15.0

_lock = threading.Lock()
_directories: dict[int, Path] = {}  # by pid: a forked child has its own


def directory() -> Path:
    """The directory of this process's services, made (and its guardian started) on first use."""
    with _lock:
        pid = os.getpid()
        if pid not in _directories:
            _directories[pid] = _create()
        return _directories[pid]


def new_directory(name: str, account: str | None = None) -> Path:
    """A fresh private directory, owned by `account` where given."""
    # Short, because a Unix socket's path ends at 107 bytes.
    path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=directory()))
    if account is not None:
        shutil.chown(path, account, account)
    return path


def survivors() -> list[int]:
    """Pids of the live processes that work in this process's directory, removed or not."""
    path = _directories.get(os.getpid())
    return [] if path is None else processes.working_in(path)


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of this package's modules with the interpreter in use."""
    return [sys.executable, "-m", f"tests.services.{module}", *arguments]


def environment() -> dict[str, str]:
    """That of this process. pytest removes a variable from it after each test, whatever threads copy it meanwhile."""
    return {name: value for name in list(os.environ) if (value := os.environ.get(name)) is not None}


def module_environment() -> dict[str, str]:
    """The environment in which `module_command` finds the module from any working directory."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**environment(), "PYTHONPATH": os.pathsep.join(paths)}


def _create() -> Path:
    path = Path(tempfile.mkdtemp(prefix="lifesigns-", dir="/tmp"))
    path.chmod(0o711)  # servers under another account must get through to their own directory
    guardian = subprocess.Popen(
        module_command("guardian", str(os.getpid()), str(path)),
        cwd="/",
        env=module_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is not for it
    )
    atexit.register(_dismiss, guardian, os.getpid())
    return path


def _dismiss(guardian: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child that runs its parent's exit handlers
        guardian.communicate(b"\n", timeout=CLEAN_SECONDS)
