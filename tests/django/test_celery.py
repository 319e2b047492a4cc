"""`CELERY_SIGNALS`: a Celery worker of the project is alive, ready and heard of, and drains, without serving HTTP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from tests.django.projects import ROOT, environment, migrate, run
from tests.process.probes import answers, fetch
from tests.services import Redis, free_port, wait_until
from tests.services.celery_files import WHOLE_MESSAGES
from tests.services.processes import kill

pytest.importorskip("celery")

APP = f"""{WHOLE_MESSAGES}
import ctypes
import time
from celery import Celery
app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")

@app.task
def busy():
    time.sleep(8)

@app.task
def block():
    ctypes.CDLL(None).sleep(8)  # not by gevent's leave: no other greenlet runs meanwhile
"""
WORKER = ("-m", "celery", "-A", "project", "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "info")
# What another process of the host knows of it: here as a check of the same project, in a command.
CHECKS = {"celery": {"check": {"kind": "heartbeat", "name": "celery", "max_age": 10}, "ttl": 0.01}}


class Project:
    """A project with a Celery worker; `broker` is its URL."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        (folder / "project.py").write_text(APP)
        busy = ["cpu_load", "memory_usage", "disk_space"]
        self.settings: dict[str, Any] = {
            "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
            "CELERY_BROKER_URL": broker,
            "LIFESIGNS": {"CELERY_SIGNALS": True, "DISABLED": busy, "CHECKS": CHECKS},
        }
        if broker.startswith("filesystem"):
            for name in ("in", "control"):
                (folder / name).mkdir()
            self.settings["CELERY_BROKER_TRANSPORT_OPTIONS"] = {
                "data_folder_in": str(folder / "in"),
                "data_folder_out": str(folder / "in"),
                "control_folder": str(folder / "control"),
            }

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        path = f"{ROOT}:{ROOT / 'examples/demo'}:{self.folder}"
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", *command],
                env=environment(self.folder, self.settings, PYTHONPATH=path),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def run_until_done(self, program: str) -> None:
        assert self.start("-c", program).wait(30) == 0, self.log()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def probe(self, what: str) -> tuple[int, str]:
        """What Kubernetes would find in the container of the worker."""
        command = [sys.executable, "-m", "lifesigns", "probe", what, "--store", str(self.folder / "store")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout.strip()

    def heard(self) -> str:
        done = run(
            self.folder, self.settings, "-W", "ignore", "-m", "django", "health_check", "celery", "--format=json"
        )
        status: str = json.loads(done.stdout)["checks"]["celery"]["status"]
        return status


@pytest.fixture(params=["redis", "filesystem"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    broker = "filesystem://"
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        broker = server.url_for(5)
    project = Project(tmp_path, broker)
    migrate(tmp_path, project.settings)
    return project


@pytest.mark.services
def test_worker__is_alive_ready_sends_heartbeats_and_drains(project: Project) -> None:
    assert project.heard() == "error"
    assert project.probe("--alive")[0] == 1
    worker = project.start(*WORKER)
    try:
        # One process is seen: the children of the pool are busy with tasks.
        wait_until(lambda: project.probe("--alive") == (0, "1 of 1 processes are alive"), 40, project.log())
        wait_until(lambda: project.heard() == "healthy", 60, project.log())
        wait_until(lambda: project.probe("--ready")[0] == 0, 60, project.log())
        worker_goes_on_while_it_drains(project, worker)
        assert worker.wait(60) == 0
        wait_until(lambda: project.probe("--alive")[0] == 1, 60, "it is gone")
        wait_until(lambda: project.heard() == "error", 60, "it is not heard any more")
    finally:
        kill(worker.pid)
        worker.wait(60)


@pytest.mark.services
def test_beat__is_alive(project: Project) -> None:
    beat = project.start("-m", "celery", "-A", "project", "beat", "--schedule", str(project.folder / "schedule"))
    try:
        wait_until(lambda: project.probe("--alive") == (0, "1 of 1 processes are alive"), 40, project.log())
    finally:
        kill(beat.pid)
        beat.wait(60)


def worker_goes_on_while_it_drains(project: Project, worker: subprocess.Popen[bytes]) -> None:
    """It is busy with a task when it is terminated: alive, and not ready any more."""
    sender = project.start("-c", "from project import busy; busy.delay()")
    assert sender.wait(60) == 0, project.log()
    wait_until(lambda: "busy" in project.log() and "received" in project.log(), 60, project.log())
    time.sleep(0.5)
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: project.probe("--ready")[0] == 1, 6, "it is still ready")
    assert project.probe("--alive")[0] == 0


PORT = "0.0.0.0:9464"
TOKEN = "a-token-of-24-characters"


def probes_of_the_documentation(address: str) -> str:
    """What the page on groups has a worker of Celery do, with another address."""
    page = (ROOT / "docs/guides/groups.md").read_text()
    [recipe] = [block.split("```")[0] for block in page.split("```python\n")[1:] if "worker_ready" in block]
    assert PORT in recipe
    return recipe.replace(PORT, address)


@pytest.mark.parametrize("signals", [False, True])
def test_worker__serves_probes_as_a_probe_server_does(tmp_path: Path, signals: bool) -> None:
    project = Project(tmp_path, "filesystem://")
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "project.py").write_text(f"{APP}\n{probes_of_the_documentation(address)}")
    groups = {"worker": {"checks": ["default_cache"], "critical": ["default_cache"]}}
    project.settings["LIFESIGNS"] |= {
        "CELERY_SIGNALS": signals,
        "GROUPS": groups,
        "CHECKS": {},
        "TOKENS": [TOKEN],
        "NETWORKS": [],
    }
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    worker = project.start(*WORKER)
    try:
        wait_until(lambda: answers(address), 40, project.log())
        wait_until(lambda: fetch(address, "/group/worker").code == 200, 60, project.log())
        assert fetch(address, "/metrics").code == 401
        assert fetch(address, "/metrics", headers=bearer).code == 200
        # Its migrations are not applied.
        wait_until(lambda: b"migrations_applied" in fetch(address, "/startup", headers=bearer).body, 60, project.log())
        assert fetch(address, "/startup").code == 503
        migrated = run(tmp_path, project.settings, "-m", "django", "migrate", "--verbosity", "0")
        assert migrated.returncode == 0, migrated.stderr
        wait_until(lambda: fetch(address, "/startup").code == 200, 60, project.log())
        wait_until(lambda: fetch(address, "/ready").code == 200, 60, project.log())
        project.run_until_done("from project import busy; busy.delay()")
        wait_until(lambda: "received" in project.log(), 60, project.log())
        worker.send_signal(signal.SIGTERM)
        for path in ("/ready", "/group/worker"):
            wait_until(partial(is_draining, address, path), 6, project.log())
        assert fetch(address, "/alive").code == 200
    finally:
        kill(worker.pid)
        worker.wait(60)


def is_draining(address: str, path: str) -> bool:
    answer = fetch(address, path)
    return answer.code == 503 and answer.json()["status"] == "draining"


def test_system_check__without_celery(settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    settings.LIFESIGNS = {"CELERY_SIGNALS": True}
    assert [message.id for message in run_checks()] == []
    monkeypatch.setattr("django_lifesigns.runtime.system_checks.find_spec", lambda name: None)
    [message] = run_checks()
    assert (message.id, "Celery is not installed" in message.msg) == ("lifesigns.W013", True)
