"""A project with a task queue: processes of its own for workers, and one that sends tasks and runs the checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from typing_extensions import Self

from tests.django import interpreter
from tests.django.projects import ROOT, environment, sqlite
from tests.services import wait_until
from tests.services.processes import kill

INSTALLED = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django_lifesigns"]
CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")
# Executes each line of its input, a program in JSON, and prints the value of `result`.
CONSOLE = """
import json, sys
import django
django.setup()
scope = {}
for line in sys.stdin:
    scope["result"] = None
    exec(json.loads(line), scope)
    print(json.dumps(scope["result"]), file=sys.__stdout__, flush=True)
"""
CHECK = """
from django_lifesigns.runtime.engine import get_engine
result = get_engine().run(json_names, refresh=True)["checks"]
"""


class Console:
    """A process of the project that executes what is written to `input`, line by line, and prints to `output`."""

    def __init__(self, variables: Mapping[str, str], folder: Path, log: IO[bytes]) -> None:
        program = interpreter.parse(["-W", "ignore", "-c", CONSOLE], variables)
        assert program is not None
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        self.input, self.output = os.fdopen(ours_in, "w"), os.fdopen(ours_out)
        with os.fdopen(theirs_in) as standard_input, os.fdopen(theirs_out, "w") as standard_output:
            self._process = interpreter.start(program, variables, folder, standard_input, standard_output, log)

    def close(self) -> None:
        """End the input, and with it the process."""
        with suppress(BrokenPipeError):
            self.input.close()
        code = self._process.wait(60)
        self.output.close()
        assert code is not None, "the console does not end"


class QueueProject:
    """`modules` are Python files by name; packages in the folders `release` come before those that are installed."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        modules: Mapping[str, str],
        release: Path | None = None,
    ) -> None:
        self.folder = folder
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        path = [*([str(release)] if release else []), str(folder), str(ROOT), str(ROOT / "examples/demo")]
        self.environment = environment(
            folder,
            {
                "DATABASES": sqlite(folder),
                **settings,
                "INSTALLED_APPS": [*INSTALLED, *settings.get("INSTALLED_APPS", ())],
            },
            PYTHONPATH=os.pathsep.join(path),
        )
        self._started: list[subprocess.Popen[bytes]] = []
        self._console: Console | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._console is not None:
            self._console.close()
        for process in self._started:
            self.kill(process)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start the interpreter with these arguments; what it writes is in `log`."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", *command],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the process and all of its children."""
        if process.poll() is None:
            kill(process.pid)
        process.wait(60)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def do(self, program: str) -> Any:
        """Run a program in the project's one process, and return the value of its variable `result`."""
        if self._console is None:
            with (self.folder / "log").open("ab") as log:
                self._console = Console(self.environment, self.folder, log)
        self._console.input.write(json.dumps(program) + "\n")
        self._console.input.flush()
        line = self._console.output.readline()
        assert line, self.log()
        return json.loads(line)

    def checks(self, *names: str) -> Any:
        """The results of these checks, by default of all four of the task queue."""
        return self.do(f"json_names = {list(names or CHECKS)!r}\n{CHECK}")

    def wait(self, name: str, condition: Callable[[Any], object], seconds: float = 30) -> Any:
        """Return the first result of a check that fulfils the condition on its details."""
        found: list[Any] = []

        def holds() -> bool:
            found.append(self.checks(name)[name])
            # On a busy machine there may be no time left for a detail: another run has it.
            with suppress(KeyError):
                return bool(condition(found[-1].get("details", {})))
            return False

        try:
            wait_until(holds, seconds)
        except TimeoutError as error:
            raise AssertionError(f"{found[-1]}\n{self.log()[-4000:]}") from error
        return found[-1]
