"""Checks of one's own: declared in an app, named in the settings, given arguments and other names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.utils.translation import gettext_lazy

import lifesigns
from django_lifesigns.runtime.engine import get_engine, get_runtime, reset
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import checks as declared
from lifesigns import specs
from tests.django.projects import run_json

# Django's own system checks of models ask the database.
pytestmark = pytest.mark.django_db(transaction=True)

PROGRAM = """
import json
from django.core.management import call_command
from django_lifesigns.runtime.engine import get_runtime
call_command("migrate", verbosity=0)
built = get_runtime()
print(json.dumps({
    "names": built.engine.names, "report": built.engine.run(),
    "problems": [problem.message for problem in built.problems],
}))
"""


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declarations of a test are forgotten with it."""
    monkeypatch.setattr(declared, "DECLARED", {})
    monkeypatch.setattr(declared, "REFUSED", {})
    reset()
    yield
    reset()


def limit_is(limit: int, *, exact: bool = False) -> str:
    """A check with arguments."""
    return f"limit is {limit}{'!' if exact else ''}"


async def async_limit_is(limit: int) -> str:
    """The same as a coroutine."""
    await asyncio.sleep(0)
    return f"limit is {limit}"


def translated() -> dict[str, object]:
    """What is looked up in the language in which it is shown."""
    return {"status": "degraded", "message": gettext_lazy("Yes"), "details": {"answer": gettext_lazy("No")}}


def test_own__message_of_a_translation(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": translated}}
    result = get_engine().check("mine")
    assert (result["status"], result["message"], result["details"]) == ("degraded", "Yes", {"answer": "No"})


def test_declared__found_in_the_apps_of_a_project(tmp_path: Path) -> None:
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django_lifesigns", "tests.django.shop"]
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    settings = {"INSTALLED_APPS": apps, "DATABASES": {"default": database}}
    found = run_json(tmp_path, settings, PROGRAM)
    assert found["problems"] == []
    assert found["names"] == [*CATALOGUE, "customers"]
    checks = found["report"]["checks"]
    assert checks["customers"]["message"] == "0 customers"
    assert checks["mqtt_broker"]["message"] == "our own broker is well"


def test_declared__settings_come_first() -> None:
    lifesigns.check("mine", critical=True, ttl=20)(lambda: False)
    assert get_engine().run(["mine"])["status"] == "unhealthy"


@pytest.mark.parametrize(
    ("options", "status"), [({"critical": False}, "degraded"), ({"check": lambda: True}, "healthy"), ({}, "unhealthy")]
)
def test_declared__changed_by_settings(settings: Any, options: Any, status: str) -> None:
    lifesigns.check("mine")(lambda: False)
    settings.LIFESIGNS = {"CHECKS": {"mine": options}}
    assert get_runtime().problems == ()
    assert get_engine().run(["mine"])["status"] == status


@pytest.mark.parametrize("lifesigns_dict", [{"DISABLED": ["mine"]}, {"CHECKS": {"mine": {"enabled": False}}}])
def test_declared__disabled(settings: Any, lifesigns_dict: Any) -> None:
    lifesigns.check("mine")(lambda: False)
    settings.LIFESIGNS = lifesigns_dict
    assert get_runtime().problems == ()
    assert "mine" not in get_engine().names


def test_declared__depends_on_what_there_is_not() -> None:
    lifesigns.check("mine", depends_on=["databse_connectivity"])(lambda: True)
    [message] = [message for message in run_checks() if message.id == "lifesigns.W006"]
    assert f"The check 'mine' that {__name__} declares" in message.msg
    assert "databse" in message.msg
    assert str(message.hint).startswith("Did you mean 'database")
    assert get_engine().check("mine")["status"] == "error"


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"check": limit_is, "arguments": {"limit": 7}}, "limit is 7"),
        ({"check": limit_is, "arguments": {"limit": 7, "exact": True}}, "limit is 7!"),
        ({"check": async_limit_is, "arguments": {"limit": 7}}, "limit is 7"),
        ({"check": f"{__name__}.limit_is", "arguments": {"limit": 7}}, "limit is 7"),
    ],
)
def test_arguments__are_passed(settings: Any, check: Any, expected: str) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": check}}
    assert run_checks() == []
    assert get_engine().check("mine")["message"] == expected


def test_arguments__wrong_ones_are_an_error(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": limit_is, "arguments": {"limits": 7}}}}
    assert get_engine().check("mine")["error_type"] == "TypeError"


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"check": specs.Cpu(), "arguments": {"limit": 7}}, "arguments"),
        ({"check": limit_is, "arguments": ["hunter2"]}, "arguments"),
        ({"check": limit_is, "arguments": {7: "hunter2"}}, "arguments"),
        ({"check": limit_is, "argumnts": {}}, "'arguments'"),
        ({"check": limit_is, "name": 7}, "'name'"),
        ({"check": lambda: True, "name": "my check"}, "my check"),
        ({"check": lambda: True, "name": "cpu_load"}, "cpu_load"),
    ],
)
def test_system_check__names_what_is_wrong(settings: Any, option: Any, named: str) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": option}}
    [message] = run_checks()
    assert message.id == "lifesigns.E004"
    assert "'mine'" in message.msg
    assert named in f"{message.msg} {message.hint}"
    assert "hunter2" not in f"{message.msg} {message.hint}"
    assert "mine" in get_engine().names
    assert get_engine().names.count("cpu_load") == 1


def test_system_check__name_without_url(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"detailed": lambda: True}}
    assert [message.id for message in run_checks()] == ["lifesigns.W012"]
    settings.LIFESIGNS = {"CHECKS": {"detailed": {"check": lambda: True, "name": "in_detail"}}}
    assert run_checks() == []


def test_renamed__in_report_and_url(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"default_cache": {"name": "sessions", "timeout": 2}}}
    body = Client().get("/health/").json()
    assert "sessions" in body["checks"]
    assert "default_cache" not in body["checks"]
    assert Client().get("/health/sessions/").status_code == 200
    assert Client().get("/health/default_cache/").status_code == 404


def test_renamed__parents_are_known_by_both_names(settings: Any) -> None:
    settings.LIFESIGNS = {
        "CHECKS": {
            "database_connectivity": {"check": lambda: False, "name": "database"},
            "by_setting": {"check": lambda: True, "depends_on": ["database_connectivity"]},
            "by_report": {"check": lambda: True, "depends_on": ["database"]},
        }
    }
    assert get_runtime().problems == ()
    report = get_engine().run(["by_setting", "by_report"])
    assert {result["blocked_by"] for result in report["checks"].values()} == {"database"}


def test_renamed__twice_to_the_same(settings: Any) -> None:
    checks = {key: {"check": lambda: True, "name": "same"} for key in ("one", "other")}
    settings.LIFESIGNS = {"CHECKS": checks}
    assert [problem.id for problem in get_runtime().problems] == ["E004"]
    assert get_runtime().names["one"] == "same"
    assert get_runtime().names["other"] == "other"


def test_renamed__postgresql_checks_follow(discovered: Any, database: Any) -> None:
    database(ENGINE="django.db.backends.postgresql", NAME="app")
    found, problems = discovered(LIFESIGNS={"CHECKS": {"database_connectivity": {"name": "database"}}})
    assert problems == []
    assert found["connection_pool"].options["depends_on"] == ("database",)
