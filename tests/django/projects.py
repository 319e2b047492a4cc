"""Runs a Python program in a Django project of its own process: settings that Django reads once need a new one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.django import interpreter
from tests.services import Stack, workspace
from tests.services.stack import NEVER

ROOT = Path(__file__).resolve().parents[2]
# A busy machine, or a full one, is no fault of the project.
WITHOUT_LOAD = {name: {"thresholds": NEVER} for name in ("cpu_load", "disk_space", "memory_usage")}
SECONDS = 120


def environment(folder: Path, settings: dict[str, Any], **more: str) -> dict[str, str]:
    """In which the demo project has these settings."""
    # What one test's processes know is not for those of another.
    lifesigns = {"STORE_PATH": str(folder / "store"), **settings.get("LIFESIGNS", {})}
    lifesigns["CHECKS"] = {**WITHOUT_LOAD, **lifesigns.get("CHECKS", {})}
    file = folder / "settings.json"
    file.write_text(json.dumps({**settings, "LIFESIGNS": lifesigns}))
    return {
        **workspace.environment(),
        "DJANGO_SETTINGS_MODULE": "demo.settings",
        "LIFESIGNS_DEMO_FULL": "1",
        "LIFESIGNS_DEMO_STACK": str(file),
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), str(ROOT / "examples/demo"), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        **more,
    }


def run(folder: Path, settings: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The interpreter with these arguments in that environment."""
    return interpreter.run(*arguments, environment=environment(folder, settings), folder=folder, timeout=SECONDS)


def run_new(folder: Path, settings: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in an interpreter that has imported nothing: for what is about imports, or about how it starts."""
    return interpreter.run_new(*arguments, environment=environment(folder, settings), folder=folder, timeout=SECONDS)


def run_json(folder: Path, settings: dict[str, Any], program: str) -> Any:
    """What a program, begun with Django set up, prints as JSON."""
    done = run(folder, settings, "-W", "ignore::DeprecationWarning", "-c", f"import django; django.setup()\n{program}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def migrate(folder: Path, settings: dict[str, Any]) -> None:
    """Make the tables of a project with these settings; on SQLite they are copied from where they were made first."""
    file = folder / "db.sqlite3"
    names = [database.get("NAME") for database in settings.get("DATABASES", {}).values()]
    if names == [str(file)] and "INSTALLED_APPS" not in settings and not file.exists():
        shutil.copyfile(_migrated(os.getpid()), file)
    else:
        _migrate(folder, settings)


@cache
def _migrated(_: int) -> Path:
    """A database file with all tables, made once in each process: a forked one has no directory of its parent."""
    folder = workspace.new_directory("migrated")
    _migrate(folder, {"DATABASES": sqlite(folder)})
    return folder / "db.sqlite3"


def _migrate(folder: Path, settings: dict[str, Any]) -> None:
    done = run(folder, settings, "-m", "django", "migrate", "--verbosity", "0", "--fake-initial")
    assert done.returncode == 0, done.stderr


def stack_settings(stack: Stack, **lifesigns: Any) -> dict[str, Any]:
    """The settings of the stack, with more keys of LIFESIGNS."""
    settings: dict[str, Any] = stack.settings()
    return {**settings, "LIFESIGNS": {**settings["LIFESIGNS"], **lifesigns}}


def run_text(folder: Path, settings: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The interpreter with these arguments, in the demo project with these lines of settings."""
    (folder / "text_settings.py").write_text(f"from demo.settings import *\n{settings}\n")
    given = environment(folder, {"DATABASES": sqlite(folder)}, DJANGO_SETTINGS_MODULE="text_settings", **more)
    given["PYTHONPATH"] = os.pathsep.join([str(folder), given["PYTHONPATH"]])
    # Of the next settings in the same second it would be taken for the compiled module.
    given["PYTHONDONTWRITEBYTECODE"] = "1"
    return interpreter.run("-W", "ignore", *arguments, environment=given, folder=folder, timeout=SECONDS)


def sqlite(folder: Path) -> dict[str, Any]:
    """DATABASES with a file in the folder."""
    return {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}}
