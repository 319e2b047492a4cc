"""Runs programs in processes that are as fresh as those of a new interpreter, but have Django's modules imported.

That takes less than half of the time. What a new interpreter is for (`-X`, `-O`, a script) gets one.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

SERVER = Path(__file__).with_name("prepared.py")
# What a forked process takes over. All others are read when an interpreter starts.
HANDLED = {"PYTHONPATH", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE"}
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Process:
    """A program that was started; its pid and then its exit code come from `ends`."""

    pid: int
    ends: int

    def wait(self, timeout: float) -> int | None:
        """Return the exit code, once: negative for a signal, None after the timeout (s), when it is killed."""
        try:
            if select.select([self.ends], [], [], timeout)[0]:
                return _number(self.ends)
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            return None
        finally:
            os.close(self.ends)


def run(
    *arguments: str, environment: Mapping[str, str], folder: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these arguments, and return its exit code and output.

    Raises:
        subprocess.TimeoutExpired: After the timeout (s). The process has been killed.
    """
    program = parse(arguments, environment)
    if program is None:
        return run_new(*arguments, environment=environment, folder=folder, timeout=timeout)
    with open(os.devnull) as nothing, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        code = start(program, environment, folder, nothing, output, errors).wait(timeout)
        output.seek(0)
        errors.seek(0)
        texts = [file.read().decode() for file in (output, errors)]
    if code is None:
        raise subprocess.TimeoutExpired([sys.executable, *arguments], timeout, *texts)
    return subprocess.CompletedProcess([sys.executable, *arguments], code, *texts)


def start(program: dict[str, Any], environment: Mapping[str, str], folder: Path, *standard: IO[Any]) -> Process:
    """Start what `parse` has returned, with these files as its standard input, output and error."""
    message = json.dumps({"program": program, "environment": dict(environment), "folder": str(folder)})
    ends, report = os.pipe()
    descriptors = [*(file.fileno() for file in standard), report]
    try:
        socket.send_fds(_server(os.getpid()), [message.encode()], descriptors)
    finally:
        os.close(report)
    return Process(_number(ends), ends)


def run_new(
    *arguments: str, environment: Mapping[str, str], folder: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Do the same in a new interpreter: for what is about what it imports, or how it starts."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the arguments of `prepared.Program`, or None if a new interpreter is needed."""
    if any(_of_the_start(environment, name) != _of_the_start(os.environ, name) for name in {*environment, *os.environ}):
        return None
    warnings = [option for option in environment.get("PYTHONWARNINGS", "").split(",") if option]
    rest = list(arguments)
    while rest[:1] == ["-W"]:
        warnings.append(rest[1])
        del rest[:2]
    if len(rest) < 2 or rest[0] not in ("-c", "-m"):
        return None
    option, code, *rest = rest
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {"warnings": warnings, "option": option, "code": code, "arguments": rest, "paths": paths}


def _of_the_start(environment: Mapping[str, str], name: str) -> str | None:
    """Return a variable's value if the interpreter reads it when it starts."""
    return environment.get(name) if name.startswith("PYTHON") and name not in HANDLED else None


def _number(descriptor: int) -> int:
    """Return the number that comes next; struct.error if the interpreter has ended."""
    return int(*struct.unpack("i", os.read(descriptor, 4)))


@cache
def _server(_: int) -> socket.socket:
    """The socket of the interpreter, one for each process: a forked one would share its parent's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(theirs.fileno())],
            env={name: value for name, value in os.environ.items() if name not in HANDLED},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(_end, ours, process, os.getpid())
    return ours


def _end(ours: socket.socket, process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child that runs its parent's exit handlers
        ours.shutdown(socket.SHUT_RDWR)
        ours.close()
        process.wait(END_SECONDS)
