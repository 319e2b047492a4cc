"""`manage.py health_check`: what it prints and how it ends."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.projects import WITHOUT_LOAD, run_text

pytestmark = pytest.mark.django_db(transaction=True)

DEGRADED = {"CHECKS": {"mine": {"check": lambda: False, "critical": False}}}
UNHEALTHY = {"CHECKS": {"mine": lambda: False}}


def health_check(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("health_check", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_table__a_line_for_each_check(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": WITHOUT_LOAD}
    code, out = health_check()
    assert code == 0
    assert all(name in out for name in CATALOGUE)
    assert "All systems operational" in out


def test_json__the_report() -> None:
    code, out = health_check("--format", "json")
    assert code == 0
    assert list(json.loads(out)["checks"]) == list(CATALOGUE)


@pytest.mark.parametrize(
    ("lifesigns", "arguments", "expected"),
    [
        (DEGRADED, [], 0),
        (DEGRADED, ["--strict"], 1),
        (DEGRADED, ["--strict", "--critical"], 0),
        (DEGRADED, ["--strict", "default_cache"], 0),
        (UNHEALTHY, [], 2),
        (UNHEALTHY, ["--strict"], 2),
        (UNHEALTHY, ["default_cache"], 0),
        (UNHEALTHY, ["mine", "default_cache"], 2),
    ],
)
def test_exit_code__table(settings: Any, lifesigns: Any, arguments: list[str], expected: int) -> None:
    # What the busy machine adds is switched off.
    settings.LIFESIGNS = {**lifesigns, "DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
    assert health_check(*arguments)[0] == expected


def test_names__only_these() -> None:
    _, out = health_check("--format", "json", "default_cache", "disk_space")
    assert list(json.loads(out)["checks"]) == ["default_cache", "disk_space"]


def test_names__unknown() -> None:
    with pytest.raises(CommandError, match="default_cache") as caught:
        call_command("health_check", "defualt_cache")
    assert caught.value.returncode == 2


def test_table__text_is_no_markup(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": lambda: "[bold]all[/bold] [/] well"}}
    assert "[bold]all[/bold] [/] well" in health_check("mine")[1]


PROBLEMS = """
LIFESIGNS = {
    **LIFESIGNS,
    "DISABLED": ["cpu_load", "memory_usage", "disk_space", "nothing"],
    "CHECKS": {"mine": {"kind": "http", "ulr": "http://127.0.0.1:1/"}},
}
"""
WRONG, UNKNOWN = "has an unknown option 'ulr'", "names an unknown check 'nothing'"
LOGGING = "LOGGING = {'version': 1, 'handlers': {'x': {'class': 'logging.StreamHandler'}}, 'root': {'handlers': ['x']}}"


def test_wrong_setting_is_shown_once(tmp_path: Path) -> None:
    done = run_text(tmp_path, PROBLEMS, "-m", "django", "health_check")
    assert (done.stdout.count(WRONG), done.stderr.count(WRONG)) == (1, 0), done.stderr
    assert (done.stdout.count(UNKNOWN), done.stderr.count(UNKNOWN)) == (0, 1), done.stderr


def test_wrong_setting_is_logged_as_the_project_configures_it(tmp_path: Path) -> None:
    done = run_text(tmp_path, f"{PROBLEMS}\n{LOGGING}", "-m", "django", "health_check")
    assert [done.stderr.count(f"lifesigns.{id}") for id in ("E003", "E004")] == [1, 1], done.stderr


@pytest.mark.parametrize(("critical", "marks"), [(True, 1), (False, 0)])
def test_table__mark_is_explained_where_it_stands(settings: Any, critical: bool, marks: int) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": lambda: True, "critical": critical}}}
    lines = health_check("mine")[1].splitlines()
    assert [line.startswith("mine *") for line in lines].count(True) == lines.count("* critical") == marks


def test_command__runs_with_wrong_settings(settings: Any) -> None:
    settings.LIFESIGNS = {"REDAY_BUDGET": 1}
    assert health_check("default_cache")[0] == 0
