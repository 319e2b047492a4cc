"""The pages of `/health/`: what fails first, its causes, its age, and no more than the caller may see."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from django_lifesigns.history import recent
from django_lifesigns.http.probe import probe
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.runtime.waiting import Wait
from django_lifesigns.targets.catalogue import CATALOGUE

TOKEN = "a-token-for-those-who-know"
KNOWN = {"authorization": f"Bearer {TOKEN}"}


def failing() -> dict[str, object]:
    details = {"host": "db.internal", "tries": [{"at": 1, "code": 2}, {"at": 3, "code": 4}]}
    return {"status": "error", "message": "cannot reach db.internal", "details": details}


@pytest.fixture
def project(settings: Any) -> None:
    """One check that fails, two that it blocks, one that is degraded, and one that is skipped."""
    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "DISABLED": [name for name in CATALOGUE if name not in ("default_cache", "mqtt_broker")],
        "CHECKS": {
            "root": {"check": failing, "critical": True},
            "child": {"check": lambda: True, "depends_on": ["root"]},
            "other_child": {"check": lambda: True, "depends_on": ["root"]},
            "slow": lambda: {"status": "degraded", "message": "slower than usual"},
        },
        "GROUPS": {"web": {"checks": ["root", "slow"], "critical": ["slow"]}},
    }
    get_engine().run()


def page_of(path: str, headers: dict[str, str] = KNOWN) -> str:
    content: bytes = Client().get(path, headers={"accept": "text/html", **headers}).content
    return content.decode()


pytestmark = pytest.mark.django_db(transaction=True)


def test_health__for_those_who_see_details(project: None) -> None:
    page = page_of("/health/")
    failing, degraded, healthy = (page.index(f"<h2>{title} (1)</h2>") for title in ("Failing", "Degraded", "Healthy"))
    assert failing < degraded < healthy < page.index("1 skipped: mqtt_broker")
    assert "Blocks 2 checks: child, other_child" in page
    assert "cannot reach db.internal" in page
    assert page.count('<span class="mark">critical</span>') == 5  # but for mqtt_broker
    for name in ("root", "child", "slow", "default_cache", "mqtt_broker"):
        assert f'href="/health/{name}/"' in page
    assert 'href="/health/detailed/"' in page
    assert 'href="?format=json"' in page
    assert 'href="/health/" aria-current="page"' in page
    assert "<pre" not in page


def test_health__for_everybody_shows_statuses_alone(project: None) -> None:
    page = page_of("/health/", {})
    for word in ("db.internal", "Blocks", "blocked", "critical</span>", "slower", "since", "ms<"):
        assert word not in page, word
    assert "<h2>Failing (3)</h2>" in page
    assert 'href="/health/child/"' in page
    assert "Messages and details require" in page


def test_dashboard__is_linked_where_there_is_one_for_those_who_may_see_it(project: None, settings: Any) -> None:
    @probe()
    async def dashboard(request: HttpRequest, wait: Wait) -> HttpResponse:
        return HttpResponse("")

    module = ModuleType("urls_with_a_dashboard")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("ops/", include([path("health/dashboard/", dashboard), path("", include("django_lifesigns.urls"))]))
    ]
    settings.ROOT_URLCONF = module
    assert 'href="/ops/health/dashboard/">Dashboard</a>' in page_of("/ops/health/")
    assert "Dashboard" not in page_of("/ops/health/", {})


def test_group__marks_what_is_critical_there(project: None) -> None:
    page = page_of("/health/group/web/")
    assert re.findall(r'href="/health/(\w+)/">\w+</a> <span class="mark">', page) == ["slow"]


def test_check__has_its_details_in_tables(project: None) -> None:
    page = page_of("/health/root/")
    assert '<th scope="row">Host</th><td>db.internal</td>' in page
    assert '<th scope="col">At</th><th scope="col">Code</th>' in page
    assert "<pre" not in page
    assert 'blocked by <a href="/health/root/">root</a>' in page_of("/health/child/")
    anonymous = page_of("/health/root/", {})
    assert "db.internal" not in anonymous
    assert '<span class="badge error">error</span> root</h1>' in anonymous


def test_detailed__has_sections_in_place_of_json(project: None) -> None:
    page = page_of("/health/detailed/")
    assert "<h2>System info</h2>" in page
    assert '<th scope="row">Django version</th><td>' in page
    assert "<pre" not in page
    assert "{" not in page
    assert "System info" not in page_of("/health/detailed/", {})


@pytest.mark.parametrize(
    ("path", "code"),
    [("/alive/", 200), ("/ready/", 503), ("/startup/", 503), ("/health/nothing/", 404), ("/health/?refresh=1", 403)],
)
def test_others__are_pages_too(project: None, path: str, code: int) -> None:
    response = Client().get(path, headers={"accept": "text/html"})
    assert response.status_code == code
    page = response.content.decode()
    assert page.startswith("<!doctype html>")
    assert '<h1><span class="badge ' in page
    assert "<pre" not in page


@pytest.mark.parametrize("path", ["/health/", "/health/root/", "/health/group/web/", "/health/detailed/"])
def test_page__makes_no_query_of_its_own(project: None, django_assert_max_num_queries: Any, path: str) -> None:
    counts = []
    for accept in ("application/json", "text/html"):
        with django_assert_max_num_queries(20) as captured:
            page_of(path, {**KNOWN, "accept": accept})
        counts.append(len(captured))
    assert counts[1] <= counts[0]


def test_detailed__what_cannot_be_read_is_said_and_what_is_empty_left_out(
    project: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "read", lambda: None)
    page = page_of("/health/detailed/")
    assert page.count("<p>Cannot be read now</p>") == 3
    hour = {"hour": "2026-12-01T11:00:00Z", "total": 7}
    monkeypatch.setattr(recent, "read", lambda: ({}, {"root": [hour]}, {}))
    page = page_of("/health/detailed/")
    assert re.findall("<h2>(.*?)</h2>", page)[-2:] == ["System info", "History"]
    assert "<summary>root</summary>" in page
    assert '<td><time datetime="2026-12-01T11:00:00Z">2026-12-01 11:00:00 UTC</time></td>' in page


def override(folder: Path, name: str, text: str) -> None:
    (folder / "lifesigns").mkdir(exist_ok=True)
    (folder / "lifesigns" / name).write_text(text)


@pytest.fixture
def overriding(settings: Any, tmp_path: Path) -> Path:
    """The folder of templates of the project."""
    (tmp_path / "lifesigns").mkdir()
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    return tmp_path


def test_template__of_the_project_takes_the_place_of_ours(project: None, overriding: Path) -> None:
    base = '{% load l10n %}<title>Shop</title><a href="/">Home</a>{% block content %}{% endblock %}'
    override(overriding, "base.html", base)
    page = page_of("/health/")
    assert page.startswith('<title>Shop</title><a href="/">Home</a>')
    assert "<h2>Failing (1)</h2>" in page


@pytest.mark.parametrize(
    "text",
    [
        "{% nothing %}",
        "{% load nothing %}",
        '{% extends "nothing.html" %}',
        "{{ status|nothing }}",
        "{% include 'x' %}",
    ],
)
def test_template__of_the_project_that_fails_is_logged_and_ours_shown(
    project: None, overriding: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    override(overriding, "health.html", text)
    assert "<h2>Failing (1)</h2>" in page_of("/health/")
    assert [record.levelname for record in caplog.records if "template" in record.getMessage()] == ["WARNING"]


def test_template__is_read_again_under_debug(project: None, overriding: Path, settings: Any) -> None:
    settings.DEBUG = True
    for text in ("first", "second"):
        override(overriding, "health.html", text)
        assert page_of("/health/") == text


def test_language__from_right_to_left(project: None, settings: Any) -> None:
    settings.LANGUAGE_CODE = "ar"
    assert '<html lang="ar" dir="rtl">' in page_of("/health/")
