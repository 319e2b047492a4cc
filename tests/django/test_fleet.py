"""The fleet in Django: two hosts of one project, each with a store of its own, in one real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.utils.html import strip_tags

from django_lifesigns.dashboard.fleet import fleet_context
from django_lifesigns.history.rows import row_of
from django_lifesigns.runtime.sharing import fleet
from django_lifesigns.settings.conf import parse
from tests.django.dashboards import fleet_view
from tests.django.projects import run, run_json, sqlite
from tests.django.serving import GUNICORN, Server, send_request, serving
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

TOKEN = "fleet-token-of-tests"
LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
HAS_FLEET = """
import json
from django_lifesigns.runtime.engine import get_runtime
print(json.dumps(get_runtime().has_fleet))
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


def settings_of(folder: Path, redis: Redis, host: str, **lifesigns: Any) -> dict[str, Any]:
    fleet = {"URL": redis.url, "NAME": "shop", "ZONE": "eu-1", "INSTANCE": host}
    checks = {"shared": {"kind": "tcp", "host": redis.host, "port": redis.port, "scope": "fleet", "ttl": 600}}
    own = {"SHARE": "fleet", "FLEET": fleet, "BACKGROUND": True, "TOKENS": [TOKEN], "NETWORKS": [], "CHECKS": checks}
    return {"DATABASES": sqlite(folder), "CACHES": LOCAL, "LIFESIGNS": {**own, **lifesigns}}


def get(server: Server, path: str, *, known: bool = True) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"} if known else {}
    code, _, body = send_request(server.port, path, Host="10.1.2.3", Accept="application/json", **headers)
    return code, json.loads(body)


@pytest.mark.services
@where_shared
def test_two_hosts__share_a_check_and_see_each_other(tmp_path: Path, redis: Redis) -> None:
    folders = [tmp_path / name for name in ("web-1", "web-2")]
    for folder in folders:
        folder.mkdir()
    first, second = (settings_of(folder, redis, folder.name) for folder in folders)
    with serving((*GUNICORN, "--workers", "2"), folders[0], first) as one, serving(GUNICORN, folders[1], second) as two:
        wait_until(lambda: "Booting worker" in one.log() and "Booting worker" in two.log(), 60)
        wait_until(lambda: get(one, "/health/fleet/")[1]["states"]["ready"] == 2, 120)
        code, view = get(two, "/health/fleet/")
        assert (code, view["visible"]) == (200, True)
        assert [(each["name"], each["zone"]) for each in view["instances"]] == [("web-1", "eu-1"), ("web-2", "eu-1")]
        assert view["checks"]["shared"]["summary"] == "2 of 2 healthy"
        assert len(view["settings"]) == 1
        results = [get(server, "/health/shared/")[1] for server in (one, two)]
        assert sorted(result.get("found_by", "") for result in results)[0] == ""
        assert {result.get("found_by") for result in results} <= {None, "web-1", "web-2"}
        assert len({result["timestamp"][:17] for result in results}) == 1
        _, anonymous = get(one, "/health/fleet/", known=False)
        assert anonymous.keys() == {"visible", "states", "hint"}
        wait_until(lambda: 'health_fleet_instances{state="ready"} 2' in _metrics(one), 60)
        redis.kill()
        _, blind = get(one, "/health/fleet/")
        assert (blind["visible"], blind["instances"]) == (False, [])
        assert get(one, "/ready/")[0] == 200
        redis.start()
    assert redis.url not in one.log() + two.log()


def _metrics(server: Server) -> str:
    return send_request(server.port, "/metrics/", Host="localhost", Authorization=f"Bearer {TOKEN}")[2]


@pytest.mark.services
def test_project_without_fleet__has_no_page_of_it(tmp_path: Path, redis: Redis) -> None:
    settings = settings_of(tmp_path, redis, "web", SHARE="host", FLEET=None)
    with serving(GUNICORN, tmp_path, settings) as server:
        wait_until(lambda: "Booting worker" in server.log(), 60)
        assert get(server, "/health/fleet/")[0] == 404


@pytest.mark.services
def test_unusable_fleet__is_a_warning_and_each_host_alone(tmp_path: Path, redis: Redis) -> None:
    settings = settings_of(tmp_path, redis, "web", FLEET={"URL": "http://:hunter2-secret@redis"})
    assert run_json(tmp_path, settings, HAS_FLEET) is False
    checked = run(tmp_path, settings, "-m", "django", "check")
    assert "LIFESIGNS['FLEET'] cannot be used" in checked.stderr
    assert "redis://, rediss:// or unix://" in checked.stderr
    assert "hunter2" not in checked.stderr + checked.stdout


@pytest.mark.parametrize(
    ("lifesigns", "said"),
    [
        ({"SHARE": "fleet"}, "names no Redis where the hosts meet"),
        ({"FLEET": {"URL": "redis://a"}}, "has no effect: LIFESIGNS['SHARE'] is not 'fleet'"),
        ({"SHARE": "fleet", "FLEET": {"URI": "redis://a"}}, "unknown key 'URI'"),
        ({"SHARE": "fleet", "FLEET": {"NAME": "a"}}, "it has no 'URL'"),
        ({"SHARE": "fleet", "FLEET": {"URL": "redis://a", "NAME": "a b"}}, "letters, digits"),
        ({"SHARE": "fleet", "FLEET": {"URL": "redis://a", "ZONE": 7}}, "must be a str, not int"),
        ({"SHARE": "fleet", "FLEET": {"URL": "redis://a", "CLUSTER": 7}}, "cluster"),
        ({"SHARE": "flet"}, "'fleet'"),
    ],
)
def test_wrong_settings__are_named(lifesigns: dict[str, Any], said: str) -> None:
    conf = parse(lifesigns)
    problems = list(conf.problems)
    fleet(conf, problems)
    assert any(said in problem.text for problem in problems), [problem.text for problem in problems]


def test_right_settings__are_no_problem() -> None:
    sentinels = {"URL": "redis://mymaster", "SENTINELS": ["a:1"], "TLS": {"ca": "/ca"}, "INSTANCE": "a", "ZONE": None}
    conf = parse({"SHARE": "fleet", "FLEET": sentinels})
    problems = list(conf.problems)
    # In a test run nothing is shared.
    assert fleet(conf, problems) == {}
    assert problems == []


def test_section_of_the_dashboard__shows_bad_instances_first() -> None:
    context = fleet_context(fleet_view())
    assert [one["name"] for one in context["instances"]] == ["b", "c", "a"]
    html = render_to_string("lifesigns/dashboard_fleet.html", {"fleet": context})
    text = " ".join(strip_tags(html).split())
    assert "disk_space: 2 of 3 healthy (fault of these instances): c since 09:14 UTC" in text
    assert "memory_usage" not in text
    assert "version 1: 2 version 2: 1" in text
    assert "settings a" not in text
    assert "openai_api (a)" in text
    assert "c decides about incidents" in text
    hidden = render_to_string("lifesigns/dashboard_fleet.html", {"fleet": {"visible": False, "reason": "gone"}})
    assert "cannot be seen: gone" in hidden


def test_result_that_another_host_has_found__is_recorded_there() -> None:
    found = {
        "status": "healthy",
        "message": "",
        "timestamp": "2026-11-29T09:14:05Z",
        "duration_ms": 1.0,
        "cached": True,
    }
    report = {"checks": {"own": found, "other": {**found, "found_by": "web-1"}}}
    assert [name for name, result in report["checks"].items() if row_of(name, result, None)] == ["own"]
