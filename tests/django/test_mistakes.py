"""Mistakes in `LIFESIGNS`, in fresh processes: `manage.py check` names them, and nothing stops for them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.runtime.engine import get_engine, get_runtime
from tests.django.projects import run_text

REPORTED = """
import io, json
import django
django.setup()
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
said = io.StringIO()
call_command("migrate", verbosity=0, skip_checks=False, stderr=said)
found = [(message.id, message.is_serious(), f"{message.msg} {message.hint}") for message in run_checks()]
client = Client(headers={"host": "localhost"})
probes = {path: client.get(path) for path in ("/alive/", "/ready/", "/health/")}
report = probes["/health/"].json()
print(json.dumps({
    "said": said.getvalue(),
    "messages": found,
    "codes": {path: answer.status_code for path, answer in probes.items()},
    "errors": [name for name, result in report["checks"].items() if result["status"] == "error"],
    "status": report["status"],
}))
"""
QUIET = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
MISTAKES: dict[str, Any] = {
    "unknown key": {**QUIET, "READY_BUGDET": 1},
    "wrong type": {**QUIET, "READY_BUDGET": "0.8"},
    "wrong value": {**QUIET, "SHOW_DETAILS": "everybody"},
    "unknown check": {**QUIET, "REQUIRED": ["databse_connectivity"]},
    "wrong option": {**QUIET, "CHECKS": {"default_cache": {"timeout": -1, "critical": False}}},
    "wrong group": {**QUIET, "GROUPS": {"web": {"checks": ["nothing"], "critical": ["nothing"]}}},
    "lost checks": {**QUIET, "CHECKS": ["shop.health.stock"]},
    "misspelt checks": {**QUIET, "CHEKS": {"stock": "shop.health.stock"}},
}
IDS = {
    "unknown key": "E001",
    "wrong type": "E002",
    "wrong value": "E002",
    "unknown check": "E003",
    "wrong option": "E004",
    "wrong group": "E004",
    "lost checks": "E002",
    "misspelt checks": "E001",
}
# By mistake, the error in the report.
SHOWN = {
    "wrong option": "default_cache",
    "lost checks": "settings.LIFESIGNS",
    "misspelt checks": "settings.LIFESIGNS",
}


def python(folder: Path, lifesigns: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The interpreter in a project with these settings, exactly."""
    if isinstance(lifesigns, dict):
        lifesigns = {**lifesigns, "STORE_PATH": str(folder / "store")}
    return run_text(folder, f"DEBUG = False\nLIFESIGNS = {lifesigns!r}", *arguments)


def reported(folder: Path, lifesigns: Any) -> Any:
    done = python(folder, lifesigns, "-c", REPORTED)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_a_warning_and_stops_nothing(mistake: str, tmp_path: Path) -> None:
    found = reported(tmp_path, MISTAKES[mistake])
    assert f"lifesigns.{IDS[mistake]}" in found["said"]
    [(id, is_serious, text)] = found["messages"]
    assert (id, is_serious) == (f"lifesigns.{IDS[mistake]}", False), text
    assert found["codes"] == {"/alive/": 200, "/ready/": 200, "/health/": 200}
    assert found["errors"] == ([SHOWN[mistake]] if mistake in SHOWN else [])
    assert found["status"] == ("degraded" if mistake in SHOWN else "healthy")


def test_settings_that_are_no_dict_stop_nothing(tmp_path: Path) -> None:
    found = reported(tmp_path, ["x"])
    [(id, is_serious, _)] = found["messages"]
    assert (id, is_serious, found["codes"]["/alive/"]) == ("lifesigns.E002", False, 200)
    assert "settings.LIFESIGNS" in found["errors"]


def test_mistakes_fail_a_check_with_that_fail_level(tmp_path: Path) -> None:
    done = python(tmp_path, {"READY_BUGDET": 1}, "-m", "django", "check", "--fail-level", "WARNING")
    assert done.returncode == 1
    assert "Did you mean 'READY_BUDGET'?" in done.stderr


SIGNATURES = """
def limited(limit, size=1):
    return limit == size

def anything(**options):
    return True

def only(limit, /):
    return True
"""
PROGRAM = """
import json
import django
django.setup()
from django.core.checks import run_checks
from django_lifesigns.runtime.engine import get_engine
print(json.dumps([[(message.id, message.msg) for message in run_checks()], get_engine().check("mine")]))
"""


@pytest.mark.parametrize(
    ("check", "arguments", "wrong"),
    [
        ("limited", {"limt": 7, "limit": 1}, "takes no argument 'limt' (it takes limit, size)"),
        ("limited", {"size": 7}, "takes a required argument 'limit'"),
        ("limited", {"limit": 1}, None),
        ("anything", {"whatever": 7}, None),
        ("only", {"limit": 7}, "takes no argument 'limit'"),
    ],
)
def test_arguments_of_a_dotted_check_are_bound(check: str, arguments: Any, wrong: str | None, tmp_path: Path) -> None:
    (tmp_path / "shopped.py").write_text(SIGNATURES)
    entry = {"check": f"shopped.{check}", "arguments": arguments}
    done = python(tmp_path, {**QUIET, "CHECKS": {"mine": entry}}, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    messages, result = json.loads(done.stdout)
    if wrong is None:
        assert (messages, result["status"]) == ([], "healthy")
    else:
        assert messages == [["lifesigns.E004", f"LIFESIGNS['CHECKS']['mine'] names 'shopped.{check}', which {wrong}."]]
        assert (result["status"], result["message"]) == ("error", f"shopped.{check} {wrong}")


def test_arguments_of_a_function_are_bound(settings: Any) -> None:
    def limited(limit: int) -> bool:
        return bool(limit)

    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": limited, "arguments": {"limt": 7}}}}
    [problem] = get_runtime().problems
    assert problem.id == "E004"
    assert "takes no argument 'limt' (it takes limit)" in problem.message
    assert get_engine().check("mine")["status"] == "error"
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": limited, "arguments": {"limit": 7}}}}
    assert get_engine().check("mine")["status"] == "healthy"
