"""The system under test: gunicorn with one gthread worker that serves the demo project with all 22 checks."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import names
from tests.faults.dependencies import Dependencies
from tests.faults.load import Load, Loads
from tests.services import free_port, wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo"
THREADS = 8
WARM_UP_ROUNDS = 5
PATIENCE = 30.0
# SPEC's timeouts are 3 to 10 s, its breakers wait for 30 and 60: shortened, so that a run takes minutes, not an hour.
TIMEOUT, MQTT_TIMEOUT = 1.5, 1.0
BREAKER = {"failures": 3, "wait": 1, "max_wait": 1}
BREAKER_CHECKS = ("mqtt_broker", "aws_ses", "google_maps_api", "openai_api", "anthropic_api")


@dataclass(frozen=True)
class Answer:
    seconds: float
    status: int
    body: dict[str, Any]


class System:
    """Started by `with`. Its worker is the same process from beginning to end, or a cell has failed."""

    def __init__(self, dependencies: Dependencies, *, by_name: bool = False) -> None:
        self.dependencies = dependencies
        directory = dependencies.stack.directory
        self.names = None
        if by_name:
            addresses = {one.host_name: "127.0.0.1" for one in dependencies.by_name.values()}
            self.names = names.Names(directory, addresses)
        self.order = directory / "order"
        self.log = directory / "gunicorn.log"
        self._settings = directory / "settings.json"
        self.port = free_port()
        self.worker = 0
        self.usual: dict[int, Load] = {}

    def settings(self) -> dict[str, Any]:
        settings = self.dependencies.settings(names=self.names is not None)
        lifesigns = settings["LIFESIGNS"]
        checks: dict[str, Any] = lifesigns["CHECKS"]
        for name in ("database_connectivity", "database_performance"):
            checks.setdefault(name, {})["timeout"] = TIMEOUT
        for name in BREAKER_CHECKS:
            checks.setdefault(name, {})["breaker"] = BREAKER
        checks["mqtt_broker"]["timeout"] = MQTT_TIMEOUT
        checks["callable"] = {"check": "tests.faults.callables.check", "critical": False}
        # Nothing is served from memory, but where the last result stands in for one that is late.
        return {**settings, "LIFESIGNS": {**lifesigns, "DEFAULT_TIMEOUT": TIMEOUT, "DEFAULT_TTL": 0.001}}

    def ask(self, path: str) -> Answer:
        """GET on a connection of its own."""
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        return Answer(time.monotonic() - started, response.status, json.loads(body))

    def results(self) -> dict[str, Any]:
        """Of `/health/`, by check."""
        checks: dict[str, Any] = self.ask("/health/").body["checks"]
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
            if self.names is not None:
                undo.enter_context(self.names)
                command = self.names.command(*command)
            self.order.write_text("")
            self._settings.write_text(json.dumps(self.settings()))
            environment = {
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "demo.settings",
                "LIFESIGNS_DEMO_FULL": "1",
                "LIFESIGNS_DEMO_STACK": str(self._settings),
                "FAULTS_CALLABLE": str(self.order),
                "PYTHONPATH": os.pathsep.join([str(DEMO), str(ROOT)]),
                "PYTHONWARNINGS": "default",
            }
            with self.log.open("wb") as log:
                self._master = subprocess.Popen(
                    command, cwd=DEMO, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            undo.callback(self._kill)
            try:
                wait_until(self._answers, PATIENCE)
                self.worker = self._worker()
                self._warm_up()
                wait_until(lambda: not self.ill(), PATIENCE, "it is not healthy to begin with")
            except (TimeoutError, AssertionError) as error:
                raise RuntimeError(f"{error}: {self._state()}\n{self.log.read_text()[-4000:]}") from error
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()

    def same_worker(self) -> bool:
        return self._worker() == self.worker

    def _worker(self) -> int:
        children = Path(f"/proc/{self._master.pid}/task/{self._master.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _warm_up(self) -> None:
        """Let gunicorn have all its threads, every lane and connection be there, and note how many that makes."""
        ports = [one.port for one in self.dependencies.by_name.values()]
        self.loads = Loads(self.worker, frozenset(ports))
        with ThreadPoolExecutor(THREADS) as pool, ExitStack() as sampling:
            most = {port: sampling.enter_context(self.loads.sampled(port)) for port in ports}
            for _ in range(WARM_UP_ROUNDS):
                list(pool.map(self.ask, ["/health/", "/ready/"] * THREADS))
        loads = {port: one.load for port, one in most.items()}
        threads = max(load.threads for load in loads.values())
        connections = max(load.connections for load in loads.values())
        self.usual = {port: Load(threads, connections, load.on_server) for port, load in loads.items()}

    def _answers(self) -> bool:
        if self._master.poll() is not None:
            raise AssertionError("gunicorn has ended")
        with suppress(OSError):
            return self.ask("/alive/").status == 200
        return False

    def _state(self) -> object:
        with suppress(OSError):
            return self.ill()
        return "no answer"

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._master.pid, signal.SIGKILL)
        self._master.wait(PATIENCE)
