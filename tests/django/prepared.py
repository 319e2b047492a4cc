"""An interpreter that has imported Django's modules, and forks for each program. `interpreter` starts it.

It knows no settings, and none of this project's modules is imported: what a program does first is still first.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import marshal
import os
import runpy
import select
import socket
import struct
import sys
import types
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODULES = (
    "asyncio",
    "django.conf.urls.i18n",
    "django.core.asgi",
    "django.core.cache.backends.locmem",
    "django.core.files.storage",
    "django.core.mail.backends.smtp",
    "django.core.management.commands.check",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.core.wsgi",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.db.models.sql.compiler",
    "django.middleware.common",
    "django.middleware.csrf",
    "django.middleware.security",
    "django.shortcuts",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.test.client",
    "django.views.debug",
    "django.views.generic",
    "importlib.metadata",
    "importlib.resources",
)
ROOT = Path(__file__).resolve().parents[2]
# Of a request: the program's standard input, output and error, and where its pid and its end are reported.
DESCRIPTORS = 4
MOST = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What a forked process runs: options for warnings, `-c` and a text or `-m` and a module, and its arguments."""

    warnings: list[str]
    option: str
    code: str
    arguments: list[str]
    paths: list[str]

    def run(self) -> None:
        """Run it as `__main__`; its exceptions are those of this process."""
        sys.warnoptions[:] = self.warnings
        warnings._processoptions(self.warnings)  # type: ignore[attr-defined]
        sys.path[:0] = [os.getcwd() if self.option == "-m" else "", *self.paths]
        sys.argv[:] = [self.option, *self.arguments]
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        if self.option == "-m":
            runpy.run_module(self.code, run_name="__main__", alter_sys=True)
        else:
            exec(compile(self.code, "<string>", "exec"), main.__dict__)


class Compiled:
    """The source that `dataclasses` writes for each class, compiled once: a third of what our imports take."""

    def __init__(self) -> None:
        self.codes: dict[str, types.CodeType] = {}

    def execute(self, source: str, *namespaces: dict[str, Any]) -> None:
        """Do what `exec` does, and compile no source twice."""
        if source not in self.codes:
            self.codes[source] = compile(source, "<string>", "exec", dont_inherit=True)
        exec(self.codes[source], *namespaces)

    def learn(self) -> None:
        """Compile what this project's classes need, in a process of its own: here none of them is imported."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                sys.path.insert(0, str(ROOT))
                os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django.settings"
                importlib.import_module("django").setup()
                importlib.import_module("django.core.checks").run_checks()
                with open(writer, "wb") as pipe:
                    marshal.dump(self.codes, pipe)
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as pipe:
            self.codes = marshal.load(pipe)
        os.waitpid(pid, 0)


def serve(requests: socket.socket) -> Program | None:
    """Fork for each request. Return the program in a forked process, and None in this one once there are no more."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    running: dict[int, tuple[int, int]] = {}  # by pidfd: pid, and where its end is reported
    while True:
        for ready, _ in poll.poll():
            if ready in running:
                poll.unregister(ready)
                report_end(ready, *running.pop(ready))
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, MOST, DESCRIPTORS)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                requests.detach()
                return become(json.loads(message), descriptors)
            *standard, report = descriptors
            for descriptor in standard:
                os.close(descriptor)
            os.write(report, struct.pack("i", pid))
            process = os.pidfd_open(pid)
            running[process] = (pid, report)
            poll.register(process, select.POLLIN)


def report_end(process: int, pid: int, report: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(process)
    # Its reader is gone if it has waited long enough.
    with suppress(BrokenPipeError):
        os.write(report, struct.pack("i", code))
    os.close(report)


def become(request: dict[str, Any], descriptors: list[int]) -> Program:
    """Take over the environment, the folder and the files of a request, and nothing of the other programs."""
    for descriptor, standard in zip(descriptors, (0, 1, 2), strict=False):
        os.dup2(descriptor, standard)
    os.closerange(3, 1 + max(map(int, os.listdir("/proc/self/fd"))))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    return Program(**request["program"])


def main(descriptor: int) -> Program | None:
    del sys.path[0]  # the folder of this file
    for name in MODULES:
        importlib.import_module(name)
    compiled = Compiled()
    dataclasses.exec = compiled.execute  # type: ignore[attr-defined]  # in place of the builtin
    compiled.learn()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as requests:
        return serve(requests)


if __name__ == "__main__":
    if program := main(int(sys.argv[1])):
        program.run()
