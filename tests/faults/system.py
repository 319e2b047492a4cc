"""The system under test: gunicorn with one gthread worker that serves the demo project with all 22 checks."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import sockets
from tests.faults.dependencies import Dependencies
from tests.faults.load import NONE, Load, Loads, most_of
from tests.faults.project import Project
from tests.services import free_port, wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

THREADS = 8
WARM_UP_ROUNDS = 5
GIVE_UP_AFTER = 30.0
# SPEC's timeouts are 3 to 10 s, its breakers wait for 30 and 60: shortened, so that a run takes minutes, not an hour.
TIMEOUT = 1.5
BREAKER = {"failures": 3, "wait": 1, "max_wait": 1}


@dataclass(frozen=True)
class Answer:
    seconds: float
    status: int
    body: dict[str, Any]


@contextmanager
def running(*, gates: bool = False, alerts: bool = False) -> Iterator[System]:
    """The system with its dependencies; behind gates these have names, where that is possible."""
    with (
        Dependencies(gates=gates) as dependencies,
        Project(dependencies, timeout=TIMEOUT, breaker=BREAKER, by_name=gates, alerts=alerts) as project,
        System(project) as system,
    ):
        yield system


class System:
    """Started by `with`. Its worker is the same process from beginning to end, or a cell has failed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.dependencies = project.dependencies
        self.log = project.directory / "gunicorn.log"
        self.port = free_port()
        self.worker = 0
        self.usual: dict[int, Load] = {}

    def fetch(self, path: str) -> Answer:
        """GET on a connection of its own."""
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GIVE_UP_AFTER)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        return Answer(time.monotonic() - started, response.status, json.loads(body))

    def results(self) -> dict[str, Any]:
        """Of `/health/`, by check."""
        checks: dict[str, Any] = self.fetch("/health/").body["checks"]
        return checks

    def ill(self) -> dict[str, str]:
        """The checks that are not healthy, and what they say."""
        return {name: one["message"] for name, one in self.results().items() if one["status"] != "healthy"}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            command = [
                *(sys.executable, "-m", "gunicorn", "demo.wsgi:application", "--bind", f"127.0.0.1:{self.port}"),
                *("--worker-class", "gthread", "--threads", str(THREADS), "--no-control-socket", "--timeout", "60"),
            ]
            with self.log.open("wb") as log:
                self._master = subprocess.Popen(
                    self.project.command(*command),
                    cwd=self.project.directory,
                    env=self.project.environment(),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            undo.callback(self._kill)
            try:
                wait_until(self._answers, GIVE_UP_AFTER)
                self.worker = self._worker()
                self._warm_up()
                wait_until(lambda: not self.ill(), GIVE_UP_AFTER, "it is not healthy at the start")
            except (TimeoutError, AssertionError) as error:
                raise RuntimeError(f"{error}: {self._state()}\n{self.log.read_text()[-4000:]}") from error
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()

    def connections(self) -> dict[str, int]:
        """How many the worker has to each dependency."""
        found = sockets.outgoing(self.worker, self.loads.ports, sockets.table(self.worker))
        return {one.name: found[one.port] for one in self.dependencies.by_name.values()}

    def same_worker(self) -> bool:
        return self._worker() == self.worker

    def _worker(self) -> int:
        children = Path(f"/proc/{self._master.pid}/task/{self._master.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _warm_up(self) -> None:
        """Let gunicorn have all its threads, every lane and connection be there, and note how many that makes.

        Django has a Redis connection for each cache and thread, and a check may meet any of the engine's threads: it
        takes a while until all of these are there.
        """
        ports = [one.port for one in self.dependencies.by_name.values()]
        self.loads = Loads(self.worker, frozenset(ports))
        unchanged = 0
        with ThreadPoolExecutor(THREADS) as pool:
            while unchanged < WARM_UP_ROUNDS:
                known = self.usual
                with self.loads.sampled(*ports) as most:
                    list(pool.map(self.fetch, ["/health/", "/ready/"] * THREADS))
                self.usual = {port: most_of(known.get(port, NONE), load) for port, load in most.items()}
                unchanged = unchanged + 1 if self.usual == known else 0
        threads = max(load.threads for load in self.usual.values())
        connections = max(load.connections for load in self.usual.values())
        self.usual = {port: Load(threads, connections, load.on_server) for port, load in self.usual.items()}

    def _answers(self) -> bool:
        if self._master.poll() is not None:
            raise AssertionError("gunicorn has ended")
        with suppress(OSError):
            return self.fetch("/alive/").status == 200
        return False

    def _state(self) -> object:
        with suppress(OSError):
            return self.ill()
        return "no answer"

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._master.pid, signal.SIGKILL)
        self._master.wait(GIVE_UP_AFTER)
