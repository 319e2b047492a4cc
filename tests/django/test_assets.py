"""Style sheets and scripts of the pages, wherever a project has the URLs, and the links between these."""

from __future__ import annotations

import asyncio
import re
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.wsgi import get_wsgi_application
from django.test import AsyncClient, Client, RequestFactory
from django.urls import include, path, re_path

import django_lifesigns
from django_lifesigns import views
from django_lifesigns.http.assets import assets
from django_lifesigns.http.links import link

MIDDLEWARE = "django_lifesigns.middleware.ProbeMiddleware"
LIFESIGNS = include("django_lifesigns.urls")
NAMES = sorted(path.name for path in (Path(django_lifesigns.__file__).parent / "static/lifesigns").iterdir())
numbers = count()


def urlconf(*patterns: Any) -> ModuleType:
    module = ModuleType(f"urls_of_assets_{next(numbers)}")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


def url_of(name: str, digest: str = "") -> str:
    return f"/health/assets/{digest or assets()[name].digest}/{name}"


def sheets(page: str) -> list[str]:
    return re.findall('<link rel="stylesheet" href="(.*?)">', page)


def test_assets__are_all_files() -> None:
    assert sorted(assets()) == NAMES
    assert {"palette.css", "pages.css"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_asset__is_kept_for_a_year(name: str) -> None:
    response = Client().get(url_of(name))
    assert response.content == assets()[name].content
    assert response["Content-Type"] in ("text/css; charset=utf-8", "text/javascript; charset=utf-8")
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "Vary" not in response
    again = Client().get(url_of(name), headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", response["ETag"])
    assert Client().head(url_of(name)).status_code == 200
    assert Client().post(url_of(name)).status_code == 405


def test_asset__of_another_version_is_what_there_is_and_not_kept() -> None:
    response = Client().get(url_of("pages.css", "0123456789abcdef"))
    assert response.content == assets()["pages.css"].content
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["other.css", "..", "pages", "palette.css.map", "%2e%2e%2fpalette.css", "%00"])
def test_asset__unknown_is_404(name: str) -> None:
    assert Client().get(url_of(name, "0" * 16)).status_code == 404


def test_asset__needs_no_session_database_host_or_login(settings: Any) -> None:
    """Without the mark for databases any query fails the test."""
    login = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE, login]
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["example.com"], True
    assert Client().get(url_of("pages.css")).status_code == 200
    settings.MIDDLEWARE = settings.MIDDLEWARE[1:]
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["*"], False
    assert Client().get(url_of("pages.css"), headers={"cookie": "sessionid=x"}).status_code == 200


PLACES: list[tuple[str, list[Any], str]] = [
    ("root", [path("", LIFESIGNS)], "/"),
    ("prefix", [path("ops/v1/", LIFESIGNS)], "/ops/v1/"),
    ("namespace", [path("ops/", include(("django_lifesigns.urls", "ops"), namespace="probes"))], "/ops/"),
    ("argument", [path("<slug:tenant>/", LIFESIGNS)], "/shop/"),
    ("expression", [re_path(r"^(?P<tenant>\w+)/v(\d)/", LIFESIGNS)], "/shop/v2/"),
    ("letters", [path("état/", LIFESIGNS)], "/%C3%A9tat/"),
    ("twice", [path("a/", LIFESIGNS), path("b/", LIFESIGNS)], "/b/"),
    ("language", i18n_patterns(path("ops/", LIFESIGNS)), "/en/ops/"),
]


@pytest.mark.parametrize(("patterns", "prefix"), [place[1:] for place in PLACES], ids=[place[0] for place in PLACES])
@pytest.mark.parametrize("middleware", [[], [MIDDLEWARE]], ids=["views", "middleware"])
@pytest.mark.parametrize("script_name", [None, "/shop"])
def test_page__links_what_stands_beside_it(
    settings: Any, patterns: Any, prefix: str, middleware: list[str], script_name: str | None
) -> None:
    settings.ROOT_URLCONF = urlconf(*patterns)
    settings.MIDDLEWARE = [*middleware, "django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE]
    settings.FORCE_SCRIPT_NAME = script_name
    found = sheets(Client().get(f"{prefix}alive/?format=html").content.decode())
    start = f"{script_name or ''}{prefix}health/assets/"
    assert len(found) == 2
    assert [url.startswith(start) for url in found] == [True, True], found
    for url in found:
        assert Client().get(url.removeprefix(script_name or "")).status_code == 200


def test_page__in_front_of_an_application_and_under_asgi(settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/shop"
    page = asyncio.run(AsyncClient().get("/alive/?format=html")).content.decode()
    assert sheets(page)[0].startswith("/shop/health/assets/")
    environ = RequestFactory().get("/alive/", {"format": "html"}).environ
    application: Any = django_lifesigns.probes(get_wsgi_application())
    content = application(environ, lambda *head: None)
    assert sheets(b"".join(content).decode())[0].startswith("/shop/health/assets/")


def test_page__kubernetes_names_have_assets_of_their_own(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("k/", include("django_lifesigns.urls_kubernetes")))
    found = sheets(Client().get("/k/livez?format=html").content.decode())
    assert found[0].startswith("/k/healthz/assets/")
    assert Client().get(found[0]).status_code == 200


def test_page__without_urls_of_assets_is_without_a_style(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("up", views.liveness_check))
    page = Client().get("/up?format=html").content.decode()
    assert sheets(page) == []
    assert "Service is alive" in page


def test_page__takes_assets_from_elsewhere_in_the_project(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("up", views.liveness_check), path("ops/", LIFESIGNS))
    found = sheets(Client().get("/up?format=html").content.decode())
    assert found[0].startswith("/ops/health/assets/")


def test_link__needs_its_arguments_and_a_url_of_the_view(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("ops/", LIFESIGNS))
    request = RequestFactory().get("/ops/health/")
    assert link(request, "single_check", check="a.b-c_1") == "/ops/health/a.b-c_1/"
    assert link(request, "single_check") is None
    assert link(request, "no_such_view") is None
    # What is always about one check is no URL of another.
    settings.ROOT_URLCONF = urlconf(path("db/", views.single_check, {"check": "default_cache"}))
    assert link(RequestFactory().get("/db/"), "single_check", check="other") is None
    # Those of the host that a middleware has chosen.
    request.urlconf = urlconf(path("host/", LIFESIGNS))  # type: ignore[assignment]
    request.path_info = request.path = "/host/health/"
    assert link(request, "health_check") == "/host/health/"
