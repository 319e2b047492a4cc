"""`/health/status/`: words for everybody, off unless it is wanted, and nothing that says more."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.urls import reverse

from django_lifesigns.http.public_page import state_of
from django_lifesigns.runtime.engine import get_engine, get_runtime
from django_lifesigns.targets.catalogue import CATALOGUE

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/health/status/"
RUNS: list[str] = []


def failing() -> dict[str, object]:
    RUNS.append("failing")
    return {"status": "error", "message": "db.internal:5432 refuses", "details": {"host": "db.internal"}}


def fine() -> str:
    RUNS.append("fine")
    return "well"


@pytest.fixture
def project(settings: Any) -> None:
    RUNS.clear()
    settings.LIFESIGNS = {
        "PUBLIC_PAGE": True,
        "DISABLED": [name for name in CATALOGUE if name != "mqtt_broker"],
        "CHECKS": {"secret_name": failing, "other_name": {"check": fine, "critical": False}},
        "GROUPS": {
            "Website": {"checks": ["other_name"], "critical": []},
            "Orders": {"checks": ["*_name"]},
            "Mail": {"checks": ["*_name"], "critical": ["other_name"]},
        },
    }


def change(settings: Any, **more: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, **more}


def states(**headers: str) -> Any:
    response = Client().get(PATH, headers={"accept": "application/json", **headers})
    assert response.status_code == 200
    return response.json()


def test_states__from_what_is_known_alone(project: None) -> None:
    assert states()["groups"] == {"Website": "unknown", "Orders": "unknown", "Mail": "unknown"}
    assert RUNS == []
    get_engine().run()
    ran = len(RUNS)
    for _ in range(10):
        assert states() == {
            "status": "down",
            "message": "Some systems are down",
            "groups": {"Website": "operational", "Orders": "down", "Mail": "degraded"},
        }
    assert len(RUNS) == ran


def test_page__says_words_and_nothing_else(project: None) -> None:
    get_engine().run()
    response = Client().get(PATH, headers={"accept": "text/html"})
    page = response.content.decode()
    for word in ("Website", "Operational", "Orders", "Down", "Mail", "Degraded"):
        assert f">{word}<" in page
    for word in ("secret_name", "other_name", "mqtt", "db.internal", "refuses", "well", "/health/detailed", "json"):
        assert word not in page, word
    text = re.sub("<[^>]*>", "", page)
    assert not re.search(r"\d", text), text


def test_answer__may_be_kept_for_some_seconds_by_any_cache(project: None, django_assert_num_queries: Any) -> None:
    for accept in ("text/html", "application/json"):
        with django_assert_num_queries(0):
            response = Client().get(PATH, headers={"accept": accept, "cookie": "other=x"})
        assert response["Cache-Control"] == "public, max-age=10"
        assert response["Vary"] == "Accept"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in response
    assert response["Content-Type"] == "application/json"
    assert "default-src 'none'" in Client().get(PATH)["Content-Security-Policy"]
    assert Client().get(PATH)["Content-Type"] == "text/html; charset=utf-8"
    assert Client().post(PATH).status_code == 405


def test_off__there_is_no_such_page(project: None, settings: Any) -> None:
    assert reverse("public_status") == PATH
    change(settings, PUBLIC_PAGE=False)
    response = Client().get(PATH)
    assert (response.status_code, response["Cache-Control"]) == (404, "no-store")
    change(settings, CHECKS={"status": fine})
    assert Client().get(PATH).json()["status"] == "healthy"


def test_off__a_page_of_the_projects_own_is_theirs(project: None, settings: Any) -> None:
    from types import ModuleType

    from django.http import HttpResponse
    from django.urls import include, path

    module = ModuleType("urls_with_a_status_page")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("health/status/", lambda request: HttpResponse("theirs")),
        path("", include("django_lifesigns.urls")),
    ]
    settings.ROOT_URLCONF = module
    settings.MIDDLEWARE = ["django_lifesigns.middleware.ProbeMiddleware", *settings.MIDDLEWARE]
    change(settings, PUBLIC_PAGE=False)
    assert Client().get(PATH).content == b"theirs"
    assert [message.id for message in run_checks() if str(message.id).startswith("lifesigns.")] == []
    change(settings, PUBLIC_PAGE=True, BACKGROUND=True)
    assert Client().get(PATH).content != b"theirs"
    assert [message.id for message in run_checks() if str(message.id).startswith("lifesigns.")] == ["lifesigns.W021"]


def test_whole__is_one_row_without_groups(project: None, settings: Any) -> None:
    change(settings, GROUPS={})
    get_engine().run()
    assert states()["groups"] == {"Service": "down"}
    change(settings, CHECKS={"other_name": fine})
    get_engine().run()
    assert states() == {
        "status": "operational",
        "message": "All systems are operational",
        "groups": {"Service": "operational"},
    }


def test_maintenance__excuses_what_it_covers(project: None, settings: Any) -> None:
    now = datetime.now(timezone.utc)
    window = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    alerts = {"CHANNELS": {}, "MAINTENANCE": [{**window, "checks": ["secret_*"]}]}
    change(settings, ALERTS=alerts)
    get_engine().run()
    assert states()["groups"] == {"Website": "operational", "Orders": "maintenance", "Mail": "maintenance"}


def result(status: str, *, pending: bool = False) -> dict[str, Any]:
    return {"status": status, **({"pending": True} if pending else {})}


HEALTHY, DEGRADED, ERROR, SKIPPED = map(result, ("healthy", "degraded", "error", "skipped"))
PENDING = result("error", pending=True)


@pytest.mark.parametrize(
    ("results", "critical", "planned", "state"),
    [
        ({"a": HEALTHY, "b": SKIPPED}, "a", "", "operational"),
        ({"a": HEALTHY, "b": DEGRADED}, "ab", "", "degraded"),
        ({"a": HEALTHY, "b": ERROR}, "a", "", "degraded"),
        ({"a": ERROR, "b": PENDING}, "ab", "", "down"),
        ({"a": PENDING, "b": HEALTHY}, "a", "", "unknown"),
        ({"a": HEALTHY, "b": PENDING}, "a", "", "operational"),
        ({"b": PENDING}, "", "", "unknown"),
        ({"a": SKIPPED}, "a", "", "unknown"),
        ({}, "", "", "unknown"),
        # Maintenance excuses what it covers, and nothing else.
        ({"a": ERROR, "b": HEALTHY}, "ab", "a", "maintenance"),
        ({"a": HEALTHY, "b": HEALTHY}, "ab", "a", "operational"),
        ({"a": HEALTHY, "b": HEALTHY}, "ab", "ab", "maintenance"),
        ({"a": ERROR, "b": ERROR}, "ab", "a", "down"),
        ({"a": ERROR, "b": DEGRADED}, "ab", "a", "degraded"),
        ({"a": PENDING, "b": HEALTHY}, "ab", "a", "maintenance"),
        ({"a": SKIPPED}, "a", "a", "unknown"),
    ],
)
def test_state__table(results: Any, critical: str, planned: str, state: str) -> None:
    assert state_of(results, list(critical), list(planned)) == state


def test_system_checks__know_the_setting(project: None, settings: Any) -> None:
    def said() -> list[str]:
        return [f"{m.id}: {m.msg}" for m in run_checks() if str(m.id).startswith("lifesigns.")]

    assert [text.partition(":")[0] for text in said()] == ["lifesigns.W013"]
    assert "PUBLIC_PAGE" in said()[0]
    middleware = ["django_lifesigns.middleware.ProbeMiddleware", *settings.MIDDLEWARE]
    settings.MIDDLEWARE = middleware
    change(settings, BACKGROUND=True)
    assert said() == []
    change(settings, CHECKS={**settings.LIFESIGNS["CHECKS"], "status": fine})
    assert [text.partition(":")[0] for text in said()] == ["lifesigns.W012"]
    change(settings, PUBLIC_PAGE="yes", CHECKS={"other_name": fine}, GROUPS={})
    assert [text.partition(":")[0] for text in said()] == ["lifesigns.E002"]
    assert get_runtime().conf.public_page is False
    change(settings, PUBLIC_PAG=True)
    assert "PUBLIC_PAGE" in json.dumps([m.hint for m in run_checks() if m.id == "lifesigns.E001"])
