"""`lifesigns.celery` without Django: a worker is alive, sends heartbeats, answers probes and drains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import pytest

from lifesigns import Engine
from tests.services import free_port, wait_until
from tests.services.celery_files import WHOLE_MESSAGES
from tests.services.processes import kill

pytest.importorskip("celery")

# Celery would set Django up.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
APP = """
import ctypes
from celery import Celery
import lifesigns, lifesigns.celery

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {{
    "data_folder_in": {folder!r} + "/in",
    "data_folder_out": {folder!r} + "/in",
    "control_folder": {folder!r} + "/control",
}}
engine = lifesigns.Engine(share="host", application="celery-test", store_path={folder!r} + "/store")
engine.register("blocks", lambda: ctypes.CDLL(None).usleep(300_000) == 0, ttl=1)
lifesigns.celery.connect(engine, serve="127.0.0.1:{port}", show_details="always")

@app.task
def touch(path):
    open(path, "w").close()

@app.task
def check(path):
    with open(path, "w") as file:
        file.write(engine.run(refresh=True)["status"])
"""


def get(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            code: int = response.status
            return code
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.parametrize("pool", ["prefork", "gevent", "threads"])
def test_worker_sends_heartbeats_answers_probes_and_drains(pool: str, tmp_path: Path) -> None:
    port = free_port()
    for name in ("in", "control"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks.py").write_text(WHOLE_MESSAGES + APP.format(folder=str(tmp_path), port=port))
    engine = Engine(share="host", application="celery-test", store_path=tmp_path / "store")
    engine.register("worker", {"kind": "heartbeat", "name": pool, "max_age": 10}, ttl=0.01)
    assert engine.check("worker")["status"] == "error"
    with (tmp_path / "log").open("wb") as log:
        command = ["celery", "-A", "tasks", "worker", "-P", pool, "-c", "2", "-n", f"{pool}@host", "-l", "info"]
        worker = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", *command], cwd=tmp_path, env=ENVIRONMENT, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: engine.check("worker")["status"] == "healthy", 40, "no heartbeat")
        wait_until(lambda: get(port, "/ready") == 200, 20, "the worker is not ready")
        # Tasks are taken while the engine renews a check that blocks its thread, and may run the engine themselves.
        for task in ("touch", "check"):
            script = f"from tasks import {task}; {task}.delay({str(tmp_path / task)!r})"
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, env=ENVIRONMENT, timeout=30, check=True
            )
            wait_until((tmp_path / task).exists, 20, f"{task} is not run")
        wait_until(lambda: (tmp_path / "check").read_text() == "healthy", 20, "the check does not end")
        worker.send_signal(signal.SIGTERM)
        # It may be gone before the probe server answers once more.
        wait_until(lambda: get(port, "/ready") in (503, 0), 20, "it does not drain")
        assert worker.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        kill(worker.pid)
        with suppress(subprocess.TimeoutExpired):
            worker.wait(10)


def test_serve_without_an_engine_is_a_value_error() -> None:
    import lifesigns.celery

    with pytest.raises(ValueError, match="engine"):
        lifesigns.celery.connect(serve="127.0.0.1:0")
