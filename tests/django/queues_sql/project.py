"""A Django project of a task queue, in the environment of one of its releases: a shell, and workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.services import wait_until

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 40
# Runs programs in one Django process, a JSON string on each line, and prints what each sets as `result`.
SHELL = """
import json, sys
import django
django.setup()
for line in sys.stdin:
    scope = {}
    exec(json.loads(line), scope)
    print(json.dumps(scope.get("result")), flush=True)
"""
CHECK = """
from django_lifesigns.runtime.engine import get_engine
names = ["task_queue", "pending_tasks", "failed_tasks", "task_workers"]
result = get_engine().run(names, refresh=True)["checks"]
"""
TASKS = Path(__file__).with_name("tasks.py").read_text()
INSTALLED = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django_lifesigns"]


class QueueProject:
    """Its folder has the settings, and the tasks in `queue_tasks.py`; leaving the `with` block ends its processes."""

    def __init__(self, folder: Path, python: Path, databases: dict[str, Any], apps: list[str], **settings: Any) -> None:
        self._folder = folder
        self._hanging = folder / "hanging"  # is there once a worker runs the task that never ends
        self._python = python
        self._processes: list[subprocess.Popen[str]] = []
        values = {
            "SECRET_KEY": "of-a-test",
            "USE_TZ": True,
            "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
            "DATABASES": databases,
            "INSTALLED_APPS": [*INSTALLED, *apps],
            "LIFESIGNS": {"STORE_PATH": str(folder / "store")},
            **settings,
        }
        lines = [f"{name} = {value!r}\n" for name, value in values.items()]
        (folder / "queue_settings.py").write_text("".join(lines))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LIFESIGNS")},
            "DJANGO_SETTINGS_MODULE": "queue_settings",
            "PYTHONPATH": os.pathsep.join(map(str, [folder, ROOT / "python", ROOT / "django_integration", ROOT])),
            "PYTHONWARNINGS": "ignore",
            "QUEUE_TASKS_HANGING": str(self._hanging),
        }
        self._shell = self._start("-c", SHELL, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, program: str) -> Any:
        """Return what a program of the project's shell sets as `result`."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(json.dumps(program) + "\n")
        self._shell.stdin.flush()
        line = self._shell.stdout.readline()
        assert line, self._errors()
        return json.loads(line)

    def check(self) -> dict[str, Any]:
        """Return the results of the four checks of a task queue, run anew."""
        results: dict[str, Any] = self.run(CHECK)
        return results

    def worker(self, *command: str) -> subprocess.Popen[str]:
        """Start a worker by its management command."""
        return self._start("-m", "django", *command)

    def wait_until_hanging(self, worker: subprocess.Popen[str]) -> None:
        """Wait until the worker runs the task that never ends."""

        def is_hanging() -> bool:
            assert worker.poll() is None, self._errors()
            return self._hanging.exists()

        wait_until(is_hanging, SECONDS)

    def kill(self, worker: subprocess.Popen[str]) -> None:
        """Kill a worker with its children, at once."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(SECONDS)

    def __enter__(self) -> QueueProject:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _errors(self) -> str:
        return (self._folder / "stderr").read_text()

    def _start(self, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
        with (self._folder / "stderr").open("a") as errors:
            process = subprocess.Popen(
                [self._python, *arguments],
                cwd=self._folder,
                env=self._environment,
                text=True,
                start_new_session=True,
                stderr=errors,
                **{"stdin": subprocess.DEVNULL, "stdout": errors, **streams},
            )
        self._processes.append(process)
        return process
