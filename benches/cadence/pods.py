"""A contender as it is deployed: gunicorn with its workers, services of its own, and those who probe it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benches.cadence.clients import TOKEN, answers, probing
from benches.cadence.meter import Reading, read
from benches.comparison.ground import APPS, PROJECT_APPS, Ground
from lifesigns import _core
from tests.services import free_port
from tests.services.processes import kill, tree, wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 60.0
NATIVE = "native"
# As the manifests in `deploy/kubernetes` have it, or by Django's URLs.
PAGES = {
    NATIVE: {page: f"/{page}" for page in ("ready", "alive", "startup", "metrics")},
    "django": {page: f"/{page}/" for page in ("ready", "alive", "startup", "metrics")},
}
PEER_PAGES = {page: f"/{page}/?format={'openmetrics' if page == 'metrics' else 'json'}" for page in PAGES["django"]}
# Seconds, longer than any run of the benchmark: nothing falls due.
NEVER = 3_600


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One contender. `native`: probed at Lifesigns' probe server, and not through Django. `idle`: probed by nobody, and
    without a check that falls due."""

    key: str
    label: str
    project: str
    workers: int
    native: bool = False
    idle: bool = False


OURS, OURS_8, OURS_1, DJANGO, PEER, PLAIN, BARE, BARE_8, IDLE = PLANS = (
    Plan(key="lifesigns", label="Lifesigns, 22 checks", project="lifesigns", workers=2, native=True),
    Plan(key="lifesigns_8", label="Lifesigns, 22 checks", project="lifesigns", workers=8, native=True),
    Plan(key="lifesigns_1", label="Lifesigns, 22 checks", project="lifesigns", workers=1, native=True),
    Plan(key="lifesigns_django", label="Lifesigns, probed through Django", project="lifesigns", workers=2),
    Plan(key="peer", label="django-health-check, 6 checks", project="django_health_check", workers=2),
    Plan(key="plain", label="plain Python, 22 checks, kept for 5 s", project="plain", workers=2),
    Plan(key="bare", label="no health checks, empty views", project="bare", workers=2),
    Plan(key="bare_8", label="no health checks, empty views", project="bare", workers=8),
    Plan(key="idle", label="Lifesigns, nothing due, no probes", project="lifesigns", workers=2, native=True, idle=True),
)


class Pod:
    """Runs within `with`, and is probed from then on."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ground = Ground()
        self.port = free_port()
        self._probed_at = free_port() if plan.native else self.port

    def read(self) -> Reading:
        """What it has taken so far."""
        return read(self.pid, self.ground)

    def workers(self) -> list[int]:
        """The pids of gunicorn's workers."""
        return [pid for pid in tree(self.pid) if pid != self.pid]

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.ground)
            # In shared memory, as by default; the directory of the services is on a disk.
            self._store = undo.enter_context(TemporaryDirectory(prefix="lifesigns-", dir=_core.default_store().parent))
            command = ["-w", str(self.plan.workers), "-b", f"127.0.0.1:{self.port}", "--no-control-socket"]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "demo.wsgi", *command, "--log-level=error"],
                env=self.ground.environment(self._settings()),
            )
            undo.callback(self._process.wait)
            undo.callback(kill, self.pid)
            self._wait()
            if not self.plan.idle:
                self.failures = undo.enter_context(probing(self._probed_at, self._pages))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()

    @property
    def _pages(self) -> dict[str, str]:
        if self.plan.project == "django_health_check":
            return PEER_PAGES
        return PAGES[NATIVE if self.plan.native else "django"]

    def _wait(self) -> None:
        """Until the startup probe passes, and each worker serves."""

        def started() -> bool:
            assert self._process.poll() is None, f"{self.plan.key} ended with code {self._process.returncode}"
            return len(self.workers()) == self.plan.workers and answers(self._probed_at, self._pages["startup"])

        wait_until(started, START_SECONDS, f"{self.plan.key} does not start")

    def _settings(self) -> dict[str, Any]:
        settings = self.ground.settings()
        settings["ROOT_URLCONF"] = "benches.cadence.urls"
        settings["CADENCE_PROJECT"] = self.plan.project
        settings["INSTALLED_APPS"] = [*PROJECT_APPS, *APPS.get(self.plan.project, [])]
        if self.plan.project != "lifesigns":
            settings["MIDDLEWARE"] = []
            return settings
        more: dict[str, Any] = {"BACKGROUND": True, "STORE_PATH": self._store, "TOKENS": [TOKEN]}
        if self.plan.native:
            more["PROBE_SERVER"] = f"127.0.0.1:{self._probed_at}"
        if self.plan.idle:
            more |= {"DEFAULT_TTL": NEVER, "READY_MAX_AGE": NEVER, "MAX_STALE": NEVER}
        settings["LIFESIGNS"] = {**settings["LIFESIGNS"], **more}
        return settings
