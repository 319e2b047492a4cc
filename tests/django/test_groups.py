"""Groups of `LIFESIGNS["GROUPS"]`: at their URLs, in the command, and what is wrong with them."""

from __future__ import annotations

import asyncio
import threading
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

import lifesigns
from django_lifesigns.runtime.engine import build
from django_lifesigns.runtime.system_checks import messages
from django_lifesigns.settings.conf import read
from lifesigns import _core
from tests.django.projects import ROOT, run_json, sqlite
from tests.django.test_probe_urls import LIFESIGNS, MIDDLEWARE, urlconf

pytestmark = pytest.mark.django_db(transaction=True)

QUIET = ["cpu_load", "memory_usage", "disk_space"]
CHECKS = {"queue": {"check": lambda: True, "critical": False}, "site": lambda: False, "cron": lambda: False}
GROUPS: dict[str, Any] = {
    "worker": {"checks": ["queue", "default_cache"], "critical": ["queue"]},
    "late": {"checks": ["queue", "cr*"], "critical": ["queue"]},
    "web": {"checks": ["site", "queue"]},
}


@pytest.fixture(autouse=True)
def grouped_checks(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": CHECKS, "DISABLED": QUIET, "GROUPS": GROUPS, "SHOW_DETAILS": "always"}


@pytest.fixture(params=["wsgi", "asgi"])
def get(request: pytest.FixtureRequest) -> Any:
    """A function that requests a path by a client of that kind of server."""
    if request.param == "wsgi":
        return Client().get
    return lambda path: asyncio.run(AsyncClient().get(path))


@pytest.mark.parametrize(
    ("group", "code", "status"), [("worker", 200, "healthy"), ("late", 200, "degraded"), ("web", 503, "unhealthy")]
)
def test_group_is_judged_by_its_own_criticality(get: Any, group: str, code: int, status: str) -> None:
    response = get(f"/health/group/{group}/")
    body = response.json()
    assert (response.status_code, body["status"]) == (code, status)
    assert response["Cache-Control"] == "no-store"
    assert body["summary"]["total_checks"] == len(body["checks"]) == 2
    assert body["correlation_id"]


@pytest.mark.parametrize("shown", ["always", "never"])
def test_page_of_a_group_names_it_and_the_checks_that_fail_it(settings: Any, shown: str) -> None:
    settings.LIFESIGNS = {
        **settings.LIFESIGNS,
        "SHOW_DETAILS": shown,
        "GROUPS": {"both": {"checks": ["queue", "site", "cron"], "critical": ["site", "queue"]}, **GROUPS},
    }

    def heading(group: str) -> str:
        page = Client().get(f"/health/group/{group}/?format=html").content.decode()
        return page.partition("</span> ")[2].partition("</h1>")[0]

    # Not the one that fails too, and is not critical there.
    assert heading("both") == "both: Critical checks failing: site"
    assert heading("late") == "late: Service operational with reduced functionality"
    assert "<title>unhealthy: web</title>" in Client().get("/health/group/web/?format=html").content.decode()


def test_group_that_is_unknown_is_404(get: Any) -> None:
    response = get("/health/group/wroker/")
    assert response.status_code == 404
    body = response.json()
    assert (body["message"], body["known"]) == ("Unknown group 'wroker'. Did you mean 'worker'?", list(GROUPS))


@pytest.mark.parametrize("name", ["default_cache", "dashboard", "fleet", "detailed", "group"])
def test_group_may_have_any_name(get: Any, settings: Any, name: str) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": {name: {"checks": ["queue"]}}}
    assert list(get(f"/health/group/{name}/").json()["checks"]) == ["queue"]


@pytest.mark.parametrize("path", ["/health/group/worker/", "/health/group/worker", "/healthz/group/worker"])
def test_group_is_answered_before_all_other_middleware(get: Any, settings: Any, path: str) -> None:
    settings.ROOT_URLCONF = urlconf(*KUBERNETES)
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["example.com"], True
    assert get(path).status_code == 200


KUBERNETES = [path("", include("django_lifesigns.urls_kubernetes")), path("", LIFESIGNS)]


def test_page_of_the_project_below_health_group_stays_its_own(settings: Any) -> None:
    def page(request: HttpRequest, **_: object) -> HttpResponse:
        return HttpResponse("theirs")

    settings.ROOT_URLCONF = urlconf(path("health/group/<str:name>/", page), path("", LIFESIGNS))
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    assert Client().get("/health/group/blood/").content == b"theirs"
    assert Client().get("/health/group/worker/").json()["status"] == "healthy"


def test_group_that_hangs_is_answered_within_the_budget(get: Any, settings: Any) -> None:
    released = threading.Event()
    checks = {"slow": {"check": lambda: released.wait(10), "critical": False}}
    settings.LIFESIGNS = {**settings.LIFESIGNS, "CHECKS": checks, "READY_BUDGET": 0.3}
    settings.LIFESIGNS["GROUPS"] = {"worker": {"checks": ["slow"], "critical": ["slow"]}}
    get("/alive/")
    started = time.monotonic()
    response = get("/health/group/worker/")
    assert time.monotonic() - started < 5
    assert (response.status_code, response.json()["checks"]["slow"]["pending"]) == (503, True)
    released.set()


def test_group_is_503_while_draining(get: Any) -> None:
    lifesigns.drain()
    try:
        response = get("/health/group/worker/")
    finally:
        _core.undrain()
    assert (response.status_code, response.json()["status"]) == (503, "draining")


def test_anonymous_caller_sees_statuses_only(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "SHOW_DETAILS": "authorized"}
    body = Client().get("/health/group/web/").json()
    assert "hint" in body
    assert all("message" not in result for result in body["checks"].values())
    assert Client().get("/health/group/web/?refresh=1").status_code == 403


def health_check(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("health_check", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--group", "worker"], 0),
        (["--group", "late"], 0),
        (["--group", "late", "--strict"], 1),
        (["--group", "late", "--strict", "--critical"], 0),
        (["--group", "web"], 2),
        ([], 2),
    ],
)
def test_command_ends_by_the_criticality_of_the_group(arguments: list[str], code: int) -> None:
    assert health_check(*arguments)[0] == code


def test_command_marks_what_is_critical_in_the_group() -> None:
    out = health_check("--group", "late")[1]
    assert "queue *" in out
    assert "cron *" not in out
    assert "default_cache" not in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--group", "wroker"], "Unknown group 'wroker'. Did you mean 'worker'?"),
        (["--group", "broken"], "The group 'broken' is not usable: LIFESIGNS['GROUPS']['broken']: 'checks' must be a"),
        (["queue", "--group", "worker"], "exclude each other"),
    ],
)
def test_command_refuses_a_wrong_group(settings: Any, arguments: list[str], text: str) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": {**GROUPS, "broken": {"checks": 7}}}
    with pytest.raises(CommandError) as caught:
        call_command("health_check", *arguments)
    assert text in str(caught.value)
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("groups", "id", "text", "hint"),
    [
        ([], "E002", "LIFESIGNS['GROUPS'] must be a dict with names of groups", ""),
        ({"g": ["queue"]}, "E004", "LIFESIGNS['GROUPS']['g']: a group is a dict", ""),
        ({"g": {}}, "E004", "checks must name at least one check", ""),
        ({"g": {"checks": []}}, "E004", "checks must name at least one check", ""),
        ({"g": {"checks": "queue"}}, "E004", "'checks' must be a list of names", ""),
        ({"g": {"checks": ["queue"], "critical": [1]}}, "E004", "'critical' must be a list of names", ""),
        ({"g": {"checks": ["queue"], "crtical": []}}, "E004", "Did you mean 'critical'?", ""),
        ({"g": {"checks": ["queue"], "critical": ["site"]}}, "E004", "none of its checks", ""),
        (
            {"g": {"checks": ["queue"], "critical": ["si*"]}},
            "E004",
            "matches the critical 'si*'",
            "",
        ),
        ({"g": {"checks": ["queue"], "critical": ["queue", "si*"]}}, "W008", "the critical 'si*' matches none", ""),
        ({"g": {"checks": ["queue"]}}, "W008", "nothing makes the group unhealthy", "or [] if that is meant"),
        ({"a b": {"checks": ["queue"]}}, "E004", "must be 1 to 100 letters", ""),
        (
            {"g": {"checks": ["quue"], "critical": ["quue"]}},
            "E004",
            "critical check 'quue' is unknown: Did you mean",
            "",
        ),
        (
            {"g": {"checks": ["queue", "quue"], "critical": ["queue"]}},
            "E003",
            "unknown check 'quue'",
            "Did you mean 'queue'?",
        ),
        (
            {"g": {"checks": ["queue", "quue_*"], "critical": ["queue"]}},
            "W002",
            "no check matches 'quue_*'",
            "The pattern is left out.",
        ),
    ],
)
def test_wrong_group_is_a_message_of_the_system_check(
    settings: Any, groups: Any, id: str, text: str, hint: str
) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": groups}
    [message] = [found for found in messages() if "GROUPS" in found.msg]
    assert (message.id, text in message.msg, hint in str(message.hint)) == (f"lifesigns.{id}", True, True), message


@pytest.mark.parametrize(
    ("more", "critical", "text", "hint"),
    [
        (
            {},
            ["task_queue"],
            "only critical check, 'task_queue', is skipped",
            "Add 'task_queue' to LIFESIGNS['REQUIRED']",
        ),
        ({"REQUIRED": ["task_queue"]}, ["task_queue"], None, None),
        (
            {"REQUIRED": ["redis_connectivity"]},
            ["task_queue", "postgis_extension"],
            "only critical checks, 'postgis_extension' and 'task_queue', are skipped",
            "Add 'postgis_extension' and 'task_queue' to LIFESIGNS['REQUIRED']",
        ),
        ({}, ["redis_connectivity"], "'redis_connectivity', is skipped", "Add 'redis_connectivity'"),
        ({}, ["task_queue", "default_cache"], None, None),
        ({}, [], None, None),
        ({}, None, None, None),
    ],
)
def test_group_whose_critical_checks_are_skipped_is_a_mistake(
    settings: Any, more: Any, critical: Any, text: str | None, hint: str | None
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    names = ["default_cache", "task_queue", "redis_connectivity", "postgis_extension"]
    group = {"checks": names} if critical is None else {"checks": names, "critical": critical}
    settings.LIFESIGNS = {"DISABLED": QUIET, "GROUPS": {"g": group}, **more}
    found = [message for message in messages() if "GROUPS" in message.msg]
    if text is None:
        assert found == []
        return
    [message] = found
    assert (message.id, text in message.msg) == ("lifesigns.W008", True), message
    assert str(hint) in str(message.hint)


def test_group_that_no_check_matches_is_a_mistake(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": {"g": {"checks": ["quue_*"]}}}
    found = [message for message in messages() if "GROUPS" in message.msg]
    assert [message.id for message in found] == ["lifesigns.W002", "lifesigns.W008"]
    assert "none of its checks is run here" in found[1].msg
    body = Client().get("/health/group/g/").json()
    assert (body["status"], body["message"]) == ("unhealthy", "None of the group's checks is registered")


def test_unknown_check_leaves_the_others_in_the_group(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": {"g": {"checks": ["queue", "quue"]}}}
    assert list(Client().get("/health/group/g/").json()["checks"]) == ["queue"]


def test_unknown_critical_check_makes_no_group_that_is_always_healthy(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": {"g": {"checks": ["quue", "queue"], "critical": ["quue"]}}}
    assert Client().get("/health/group/g/").status_code == 404


def test_group_that_is_meant_to_be_healthy_is_no_mistake(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": {"g": {"checks": ["queue"], "critical": []}}}
    assert not [found for found in messages() if "GROUPS" in found.msg]


def test_example_of_the_documentation_is_no_mistake(settings: Any) -> None:
    example = (ROOT / "docs/guides/groups.md").read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(example, names)
    settings.LIFESIGNS = names["LIFESIGNS"]
    assert not [found for found in messages() if "GROUPS" in found.msg]


def test_disabled_check_is_left_out_and_a_warning(settings: Any) -> None:
    groups = {"g": {"checks": ["queue", "disk_space"], "critical": ["disk_space"]}}
    settings.LIFESIGNS = {**settings.LIFESIGNS, "GROUPS": groups}
    assert [found.id for found in messages() if "GROUPS" in found.msg] == ["lifesigns.W008"]
    response = Client().get("/health/group/g/")
    assert (response.status_code, list(response.json()["checks"])) == (503, ["queue"])


def test_renamed_check_is_named_as_in_the_settings(settings: Any) -> None:
    checks = {"queue": {"check": lambda: True, "name": "jobs"}}
    groups = {"g": {"checks": ["queue"], "critical": ["queue"]}}
    settings.LIFESIGNS = {"CHECKS": checks, "GROUPS": groups}
    engine = build(read()).engine
    assert engine.names_of("g", critical_only=True) == ("jobs",)


SERVED = """
import json
from django_lifesigns.runtime import worker
from django_lifesigns.runtime.engine import get_engine
worker.start()
get_engine().run()
from tests.process.probes import fetch
answer = fetch(ADDRESS, "/group/worker")
print(json.dumps([answer.code, list(answer.json()["checks"])]))
"""


def test_probe_server_of_a_project_has_its_groups(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'probes'}"
    lifesigns = {"PROBE_SERVER": address, "GROUPS": {"worker": {"checks": ["default_cache"]}}}
    settings = {"DATABASES": sqlite(tmp_path), "LIFESIGNS": lifesigns}
    found = run_json(tmp_path, settings, SERVED.replace("ADDRESS", repr(address)))
    assert found == [200, ["default_cache"]]
