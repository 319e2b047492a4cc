"""Checks of one's own: declared in an app, named in the settings, given arguments and other names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.utils.translation import gettext_lazy

import lifesigns
from django_lifesigns.runtime.engine import get_engine, get_runtime, reset
from django_lifesigns.settings.problems import sentences
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import checks as declared
from lifesigns import specs
from tests.django.projects import run_json
from tests.servers.misbehaving import refused_port

# Django's own system checks of models query the database.
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
    [message] = run_checks()
    assert (message.id, "takes no argument 'limits'" in message.msg) == ("lifesigns.E004", True)
    result = get_engine().check("mine")
    assert (result["status"], "takes no argument 'limits'" in result["message"]) == ("error", True)


MISTAKES: list[dict[str, Any]] = [
    {"kind": "http", "url": "http://127.0.0.1:1/", "expect_stats": 204},
    {"kind": "htp"},
    {"kind": "storage", "alias": "nope"},
    {"check": limit_is},
    {"check": f"{__name__}.limit_is"},
    {"check": "json.decoder"},
    {"check": lambda: True, "thresholds": 7},
    *(
        {"check": lambda: True, option: value}
        for option, value in {
            "timeout": 0,
            "ttl": "x",
            "breaker": {"x": 1},
            "depends_on": ["no"],
            "name": "a b",
        }.items()
    ),
    {"url": "http://127.0.0.1:1/"},
]


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("entry", MISTAKES, ids=lambda entry: "-".join(entry))
def test_mistake__keeps_the_criticality(settings: Any, entry: dict[str, Any], critical: bool) -> None:
    settings.LIFESIGNS = {"CHECKS": {"nokind": {**entry, "critical": critical}}}
    assert [message.id for message in run_checks()] == ["lifesigns.E004"]
    report = get_engine().run(["nokind"])
    assert report["checks"]["nokind"]["status"] == "error"
    assert report["status"] == ("unhealthy" if critical else "degraded")
    assert ("nokind" in get_runtime().critical) is critical


@pytest.mark.parametrize(("key", "name"), [("my check", "my_check"), ("", "check"), ("a" * 101, "a" * 96)])
def test_mistake__key_that_is_no_name_is_an_error_under_another(settings: Any, key: str, name: str) -> None:
    settings.LIFESIGNS = {"CHECKS": {key: lambda: True, 5: lambda: True}}
    assert [message.id for message in run_checks()] == ["lifesigns.E002", "lifesigns.E004"]
    assert get_engine().run([name])["status"] == "unhealthy"
    assert get_engine().run(["5"])["status"] == "healthy"


def test_mistake__name_of_a_declared_check_is_no_setting() -> None:
    with declared.tolerated() as refused:
        lifesigns.check("d e/f")(lambda: True)
    assert len(refused) == 1
    assert run_checks() == []  # that of its module stands for it
    result = get_engine().check("d_e_f")
    assert (result["status"], "LIFESIGNS" in result["message"]) == ("error", False), result
    assert result["message"].startswith("Declared in a wrong way: ")


def test_mistake__is_said_in_sentences() -> None:
    assert sentences("a", "b?", "", "c.") == "a. b? c."


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


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of a listener on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_kind__with_options_of_how_it_is_run(settings: Any, listener: int) -> None:
    entry = {"kind": "tcp", "host": "127.0.0.1", "port": listener, "critical": False, "timeout": 2, "ttl": 7}
    parent = {"kind": "command", "argv": ["true"], "name": "before", "critical": False}
    settings.LIFESIGNS = {"CHECKS": {"first": parent, "port": {**entry, "depends_on": ["first"]}}}
    assert run_checks() == []
    assert {"port", "before"} <= set(get_engine().names)
    result = get_engine().check("port")
    assert result["status"] == "healthy", result
    stuck = {"kind": "command", "argv": ["sleep", "600"], "timeout": 0.2, "critical": True}
    settings.LIFESIGNS = {"CHECKS": {"stuck": stuck}}
    report = get_engine().run(["stuck"])
    assert report["status"] == "unhealthy", report
    assert report["checks"]["stuck"]["timeout_seconds"] == 0.2
    settings.LIFESIGNS = {"CHECKS": {"port": {**entry, "enabled": False}}}
    assert "port" not in get_engine().names


def test_kind__with_a_name_of_its_own(settings: Any) -> None:
    """A DNS check looks a `name` up: how it is shown is said outside its specification."""
    entry = {"kind": "dns", "name": "example.test", "server": f"127.0.0.1:{refused_port()}", "timeout": 3}
    settings.LIFESIGNS = {"CHECKS": {"names": entry, "others": {"check": entry_of(entry), "name": "shown"}}}
    assert run_checks() == []
    assert {"names", "shown"} <= set(get_engine().names)
    assert get_engine().check("names")["error_type"] == "ConnectionRefusedError"


def entry_of(entry: dict[str, Any]) -> dict[str, Any]:
    """The specification alone."""
    return {name: value for name, value in entry.items() if name != "timeout"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "htp", "url": "http://h"}, "has an unknown 'kind' 'htp'. Did you mean 'http'?"),
        ({"kind": 7}, "has an unknown 'kind' 7."),
        ({"kind": "http", "ulr": "http://h"}, "has an unknown option 'ulr'. Did you mean 'url'?"),
        ({"kind": "http", "url": "http://h", "timout": 2}, "has an unknown option 'timout'. Did you mean 'timeout'?"),
        ({"kind": "http", "url": "http://h", "arguments": {}}, "has an unknown option 'arguments'."),
        ({"kind": "http"}, "LIFESIGNS['CHECKS']['mine']: url is required"),
        ({"kind": "database", "tmeout": 2}, "has an unknown option 'tmeout'. Did you mean 'timeout'?"),
        ({"kind": "migrations", "qqq": 2}, "Known are: alert, breaker, critical, databases, depends_on, enabled, "),
        ({"check": {"kind": "database", "qqq": 2}}, "has an unknown option 'qqq'. Known are: alias."),
        ({"kind": "channel_layer", "alias": "a"}, "names 'a', which CHANNEL_LAYERS does not have. There is none."),
        ({"kind": "http", "url": "u:hunter2@h"}, "url must start with http:// or https://"),
        ({"kind": "http", "url": "http://h", "expect_status": 99}, "expect_status must be an HTTP status from 100 to"),
        ({"kind": "http", "url": "http://h", "timeout": 0}, "timeout"),
        ({"kind": "http", "url": "http://h", "depends_on": "a"}, "has a 'depends_on' that is not a list of names."),
        ({"kind": "tcp", "host": "h", "port": 0}, "port must be from 1 to 65535, not 0"),
        ({"kind": "command", "argv": "hunter2"}, "argv must be a list, not str"),
        ({"kind": "postgres", "url": "mysql://u:hunter2@h"}, "a PostgreSQL URL starts with postgresql://"),
    ],
)
def test_kind__wrong_is_named(settings: Any, entry: Any, message: str) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": entry}}
    [problem] = run_checks()
    assert problem.id == "lifesigns.E004"
    assert problem.msg.startswith("LIFESIGNS['CHECKS']['mine']")
    assert message in problem.msg
    assert "hunter2" not in f"{problem.msg} {problem.hint}"
    assert get_engine().check("mine")["status"] == "error"
