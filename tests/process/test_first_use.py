"""The README's five minutes: both wheels in an empty virtual environment, a new project, one app and one URL line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.services import free_port, wait_until
from tests.services.processes import kill
from tests.services.workspace import PROJECT

# Installs packages: not for the interpreters of the test matrix.
pytestmark = pytest.mark.services

SECONDS = 300
# What is compiled already is not compiled again, and to compress it takes longer than all else.
AS_TESTED = ("--quiet", "--profile", "dev", "--compression-method", "stored")
# Nothing of the environment that the tests run in.
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
APP = ("    'django.contrib.staticfiles',\n", "    'django.contrib.staticfiles',\n    'django_lifesigns',\n")
URL = ("urlpatterns = [\n", "urlpatterns = [\n    path('', include('django_lifesigns.urls')),\n")
# What processes of the project on this host have shared, which no process would ever use again.
FORGET = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django
django.setup()
from django_lifesigns.runtime.sharing import application
from lifesigns import _core
(_core.default_store() / f"{application()}{_core.STORE_SUFFIX}").unlink()
"""
IMPORT = ("from django.urls import path\n", "from django.urls import include, path\n")


class Project:
    """What `startproject` made, in a virtual environment of its own."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = python

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.folder, self.python, *arguments)

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        path = self.folder / file
        text = path.read_text().replace('"', "'")  # the quotes of Django's template are not what is tested
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is not in {file} of this Django"
            text = text.replace(old, new)
        path.write_text(text)


def run(folder: Path, program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *map(str, arguments)], cwd=folder, env=CLEAN, capture_output=True, text=True, timeout=SECONDS
    )


def succeed(folder: Path, program: Path, *arguments: object) -> str:
    done = run(folder, program, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("first_use")
    here, wheels = Path(sys.executable), folder / "wheels"
    succeed(PROJECT, here.with_name("maturin"), "build", *AS_TESTED, "--out", wheels)
    succeed(PROJECT, here, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, "./django_integration")
    [engine, app] = sorted(wheels.glob("*.whl"), key=lambda wheel: not wheel.name.startswith("lifesigns"))
    # With the pip that is here, and without compiling what is never imported: both take longer than all the rest.
    succeed(folder, here, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv/bin/python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
    succeed(folder, here, *install, f"{engine}[django]", app)
    place = folder / "site"
    place.mkdir()
    succeed(place, python, "-m", "django", "startproject", "shop", ".")
    made = Project(place, python)
    made.edit("shop/settings.py", APP)
    made.edit("shop/urls.py", URL, IMPORT)
    assert "Applying lifesigns.0001_initial... OK" in made.run("manage.py", "migrate").stdout
    yield made
    succeed(place, python, "-c", FORGET)


@contextmanager
def served(project: Project) -> Iterator[int]:
    port = free_port()
    log = project.folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [project.python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=project.folder,
            env=CLEAN,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: answers(port), 30, "the server does not answer")
        yield port
    finally:
        kill(process.pid)
        process.wait(10)


def fetch(port: int, path: str) -> tuple[int, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        return response.status, json.load(response)


def answers(port: int) -> bool:
    with suppress(OSError):
        return fetch(port, "/alive/")[0] == 200
    return False


@pytest.mark.parametrize("option", [[], ["-O"]], ids=["", "optimised"])
def test_first_use__check_has_nothing_to_say(project: Project, option: list[str]) -> None:
    done = project.run(*option, "manage.py", "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "System check identified no issues (0 silenced).\n", "")
    assert "lifesigns" not in project.run(*option, "manage.py", "check", "--deploy").stderr
    assert project.run(*option, "manage.py", "findstatic", "lifesigns/admin.css").returncode == 0


def test_first_use__the_probes_answer(project: Project) -> None:
    done = project.run("manage.py", "health_check", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["summary"]["total_checks"] == 22
    with served(project) as port:
        found = {
            path: fetch(port, path) for path in ("/alive/", "/ready/", "/startup/", "/health/", "/health/detailed/")
        }
    assert {path: code for path, (code, _) in found.items()} == dict.fromkeys(found, 200)
    assert [found[path][1]["status"] for path in ("/alive/", "/ready/", "/startup/")] == ["alive", "ready", "started"]
    assert len(found["/health/"][1]["checks"]) == 22


def test_first_use__the_history_is_kept(project: Project) -> None:
    assert project.run("manage.py", "monitor_health_continuous", "--max-iterations", "1").returncode == 0
    report = json.loads(project.run("manage.py", "generate_health_report", "--format", "json").stdout)
    assert "default_cache" in [check["check"] for check in report["checks"]]
