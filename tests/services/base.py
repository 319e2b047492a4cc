"""A real server as a child process, on a free loopback port, with a directory of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.services import processes, workspace

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 20.0
STOP_SECONDS = 5.0
COMMAND_SECONDS = 90
TAIL_LINES = 30
# The server's own process reports its pid to the guardian, before it is the server: nothing runs unannounced.
ANNOUNCED = 'echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@"'
# Below the range that Linux gives to outgoing connections, so that none takes the port of a server being restarted.
# The processes of one test run (pytest-xdist's gw0, gw1 ...) take every n-th of it each, so that no two take the same.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = range(15_000 + _PROCESS, 32_000, _PROCESSES)

_ports_taken: set[int] = set()
_ports_lock = threading.Lock()


class ServiceError(RuntimeError):
    """A service did not come up; the message ends with the tail of its log."""


def free_port() -> int:
    """A loopback port where nothing listens, not given to anyone else in this process."""
    with _ports_lock:
        while True:
            port = random.choice(PORTS)
            if port in _ports_taken:
                continue
            with suppress(OSError), socket.socket() as candidate:
                candidate.bind(("127.0.0.1", port))
                _ports_taken.add(port)
                return port


def account_if_root(name: str) -> str | None:
    """The account for a server that refuses to run as root; None (as we are) where we are not root."""
    return name if os.geteuid() == 0 else None


def program(name: str, *first: str) -> str:
    """Path of an installed program, looked for in the directories `first`, then as usual."""
    path = os.pathsep.join([*first, os.environ.get("PATH", os.defpath), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise ServiceError(f"{name} is not installed; scripts/install-debian installs it")
    return found


class Service:
    """Subclasses say how to run it (`prepare`, `arguments`) and how to see that it answers (`ready`).

    `start`, `stop`, `kill` and `restart` keep port and data; `close`, or leaving the `with` block, removes the data.
    """

    name: ClassVar[str]
    host = "127.0.0.1"
    account: str | None = None
    stop_signal = signal.SIGINT
    start_seconds = START_SECONDS

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared = False

    @cached_property
    def directory(self) -> Path:
        """Where the server works; everything it writes is in here."""
        return workspace.new_directory(self.name, self.account)

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def prepare(self) -> None:
        """Make files, once, before the first start."""

    def arguments(self) -> list[str]:
        """The command that runs the server in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return workspace.environment()

    def ready(self) -> bool:
        """Whether the server, just started, answers."""
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return False

    def start(self) -> None:
        """Return when the server answers; no effect on one that runs."""
        if self.running:
            return
        if not self._prepared:
            self.prepare()
            self._prepared = True
        with ExitStack() as undo:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", ANNOUNCED, self._pid_file, *self.arguments()],
                    cwd=self.directory,
                    env=self.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in the terminal is for the tests, which then stop it in order
                    user=self.account,
                    group=self.account,
                    extra_groups=None if self.account is None else [],
                )
            undo.callback(self.kill)
            try:
                processes.wait_until(self._up, self.start_seconds, "no answer")
            except TimeoutError as error:
                raise self._failure(str(error)) from error
            undo.pop_all()

    def execute(self, path: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program under the server's account and return its output; ServiceError if it fails."""
        finished = subprocess.run(
            [path, *arguments],
            cwd=self.directory,
            env={**workspace.environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            user=self.account,
            group=self.account,
            extra_groups=None if self.account is None else [],
        )
        if finished.returncode:
            raise ServiceError(f"{Path(path).name} failed: {finished.stdout}{finished.stderr}")
        return finished.stdout.strip()

    def stop(self) -> None:
        """End it the orderly way, suspended or not; killed after 5 s. No effect on one that does not run."""
        if self._process is None:
            return
        pids = processes.resume(self.pid)
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
            processes.wait_gone(pids, STOP_SECONDS)
        except (subprocess.TimeoutExpired, TimeoutError):
            self.kill()
        self._ended()

    def kill(self) -> None:
        """SIGKILL to the server and all its descendants, suspended or not."""
        if self._process is None:
            return
        processes.kill(self.pid)
        self._process.wait(STOP_SECONDS)
        self._ended()

    def restart(self) -> None:
        self.stop()
        self.start()

    def suspend(self) -> None:
        """SIGSTOP to the server and all its descendants: connections are accepted by the kernel, nothing answers."""
        processes.suspend(self.pid)

    def resume(self) -> None:
        processes.resume(self.pid)

    def close(self) -> None:
        """Stop it and remove its directory; a start after that makes a new one."""
        self.stop()
        if self._prepared:
            shutil.rmtree(self.directory)
            del self.directory
            self._prepared = False

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.close)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _pid_file(self) -> Path:
        return self.directory / "pid"

    def _up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise self._failure(f"ended with code {self._process.returncode}")
        return self.ready()

    def _failure(self, reason: str) -> ServiceError:
        return ServiceError(f"{self.name} on port {self.port}: {reason}\n{self.log_tail()}")

    def _ended(self) -> None:
        self._process = None
        self._pid_file.unlink(missing_ok=True)
