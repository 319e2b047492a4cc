"""Mistakes in an app's module `health`: the log and `manage.py check` name them, and the report has an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_text

SETTINGS = """
DEBUG = False
INSTALLED_APPS = [*INSTALLED_APPS, "till"]
LIFESIGNS = {**LIFESIGNS, "DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
"""
PROGRAM = """
import json
import django
django.setup()
from django.core.checks import run_checks
from django.core.management import call_command
from django_lifesigns.runtime.engine import get_engine
call_command("migrate", verbosity=0)
found = [message.msg for message in run_checks() if message.id == "lifesigns.W006"]
print(json.dumps([found, get_engine().run()]))
"""


def found(folder: Path, module: str) -> Any:
    """What is said of an app with this module `health`, and the report."""
    (folder / "till").mkdir()
    (folder / "till/__init__.py").write_text("")
    (folder / "till/health.py").write_text(f"import lifesigns\n{module}\n")
    done = run_text(folder, SETTINGS, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            """
@lifesigns.check("dup")
def first(): return True

@lifesigns.check("dup")
def second(): return False
""",
            "two checks are declared as 'dup': till.health.first and till.health.second",
        ),
        (
            """
@lifesigns.check("dup")
def copied(): return True

@lifesigns.check("dup")
def copied(): return False
""",
            "two checks are declared as 'dup': till.health.copied and till.health.copied",
        ),
        (
            """
@lifesigns.check("dup", tmeout=1)
def first(): return False

@lifesigns.check("dup")
def second(): return True
""",
            "check has no argument 'tmeout'. Did you mean 'timeout'?",
        ),
    ],
)
def test_two_declarations_of_one_name__the_lost_one_is_an_error(module: str, names: str, tmp_path: Path) -> None:
    said, report = found(tmp_path, module)
    assert said == [f"till.health declares the check 'dup' in a wrong way: {names}"]
    assert report["checks"]["dup"]["status"] == "healthy"
    lost = report["checks"]["health.till"]
    assert (lost["status"], names in lost["message"]) == ("error", True), lost
    assert report["status"] == "degraded"


def test_several_lost_checks_are_all_in_the_report(tmp_path: Path) -> None:
    name = '@lifesigns.check("dup")\ndef {}(): return True\n'
    said, report = found(tmp_path, "\n".join(map(name.format, ("first", "second", "third"))))
    assert len(said) == 2
    message = report["checks"]["health.till"]["message"]
    assert "till.health.second" in message
    assert "till.health.third" in message


def test_module_that_is_missing_is_named(tmp_path: Path) -> None:
    said, report = found(tmp_path, "import no_such_package")
    assert "till.health cannot be imported (ModuleNotFoundError: no module named 'no_such_package' at " in said[0]
    assert "no module named 'no_such_package'" in report["checks"]["health.till"]["message"]


def test_name_that_is_missing_is_that_of_a_module(tmp_path: Path) -> None:
    said, _ = found(tmp_path, "from json import no_such_name")
    assert "till.health cannot be imported (ImportError of 'json' at " in said[0]
