"""Makes a project of a shape in a folder, and runs its commands and its server in fresh processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.django import interpreter
from tests.services.stack import NEVER

Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
SECONDS = 120

MANAGE = """import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "SETTINGS")
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
APPLICATION = """import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "SETTINGS")
from django.core.KIND import get_KIND_application
application = get_KIND_application()
"""
URLS = """from django.http import HttpResponse
from django.urls import include, path
urlpatterns = [path("", include("django_lifesigns.urls")), path("", lambda request: HttpResponse("the application"))]
"""
CELERY = """import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "SETTINGS")
from celery import Celery
app = Celery("project")
app.config_from_object("django.conf:settings"NAMESPACE)
app.autodiscover_tasks()
"""
CELERY_LOADED = "from .celery import app as celery_app\n"
# One process for all commands, which is one start of the interpreter in place of many.
COMMANDS = """
import contextlib, io, json, sys, traceback
from django.core.management import execute_from_command_line

def run(arguments):
    output, code = io.StringIO(), 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
    return {"arguments": arguments, "code": code, "output": output.getvalue()}

print(json.dumps([run(arguments) for arguments in json.loads(sys.argv[1])]))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project in its folder; `variables` are what its settings read from the environment."""

    folder: Path
    settings: str
    variables: dict[str, str]

    def python(self, *arguments: str, run: Run = interpreter.run_new) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in the project's folder, for which the environment is all that it gets."""
        paths = [self.folder, HERE / "stand_ins", ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        inherited = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONUNBUFFERED")
            if name in os.environ
        }
        variables = {**inherited, **self.variables, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        environment = variables | {"DJANGO_SETTINGS_MODULE": self.settings}
        return run(*arguments, environment=environment, folder=self.folder, timeout=SECONDS)

    def commands(self, *commands: tuple[str, ...]) -> list[dict[str, Any]]:
        """Run commands of `manage.py` one after another: arguments, exit code and output of each."""
        done = self.python("-c", COMMANDS, json.dumps(commands), run=interpreter.run)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def probe(self, interface: str) -> dict[str, Any]:
        """Return what a fresh process of the application answers; `log` is what it wrote to standard error."""
        done = self.python("-m", "tests.django.shapes.probing", interface)
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout.splitlines()[-1]), "log": done.stderr}


def make(folder: Path, name: str, settings: str, variables: dict[str, str], *, celery: str | None = None) -> Project:
    """Copy the files of a shape into the package `project`, and write those that it does not have.

    `celery` is the namespace of Celery's settings, None without Celery.
    """
    package = folder / "project"
    shutil.copytree(HERE / "projects" / name, package, ignore=shutil.ignore_patterns("__pycache__"))
    written = {"urls.py": URLS, "../manage.py": MANAGE}
    written |= {f"{kind}.py": APPLICATION.replace("KIND", kind) for kind in ("wsgi", "asgi")}
    if celery is not None:
        namespace = f', namespace="{celery}"' if celery else ""
        written["celery.py"] = CELERY.replace("NAMESPACE", namespace)
        with (package / "__init__.py").open("a") as file:
            file.write(CELERY_LOADED)
    for path, text in written.items():
        if not (package / path).exists():
            (package / path).write_text(text.replace("SETTINGS", settings))
    project = Project(folder=folder, settings=settings, variables=variables)
    be_patient(project)
    return project


def make_startproject(folder: Path, *, debug: bool) -> Project:
    """Run Django's own `startproject`, and do what the README says.

    Without `debug` the settings are those of a first deployment: DEBUG off, ALLOWED_HOSTS closed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "django", "startproject", "project", str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    settings, urls = folder / "project/settings.py", folder / "project/urls.py"
    edit(settings, "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "django_lifesigns",')
    edit(settings, "MIDDLEWARE = [", 'MIDDLEWARE = [\n    "django_lifesigns.middleware.ProbeMiddleware",')
    edit(urls, "import path", "import include, path")
    edit(urls, "urlpatterns = [", 'urlpatterns = [\n    path("", include("django_lifesigns.urls")),')
    if not debug:
        edit(settings, "DEBUG = True", "DEBUG = False")
        edit(settings, "ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["shop.example"]')
    project = Project(folder=folder, settings="project.settings", variables={})
    be_patient(project)
    return project


def be_patient(project: Project) -> None:
    """Let the machine that runs the tests be busy or full, and keep what the processes know to the project."""
    checks = {name: {"thresholds": NEVER} for name in ("cpu_load", "disk_space", "memory_usage")}
    lifesigns = {"STORE_PATH": str(project.folder / "store"), "CHECKS": checks}
    module = project.folder / project.settings.replace(".", "/")
    with module.with_suffix(".py").open("a") as file:
        file.write(f"\nLIFESIGNS = {lifesigns!r}\n")


def edit(path: Path, before: str, after: str) -> None:
    """Replace what has to be there once."""
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name}: {before!r}"
    path.write_text(text.replace(before, after))
