"""Probes wherever a project has them in its URLs: answered with 200 or 503, never with a redirect."""

from __future__ import annotations

import asyncio
from itertools import count
from types import ModuleType
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.models import User
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import include, path, re_path, reverse
from django.views.decorators.cache import cache_page

from django_lifesigns import urls, urls_kubernetes, views
from django_lifesigns.http.routes import find

pytestmark = pytest.mark.django_db(transaction=True)

MIDDLEWARE = "django_lifesigns.middleware.ProbeMiddleware"
VIEWS = [
    views.liveness_check,
    views.readiness_check,
    views.startup_check,
    views.health_check,
    views.detailed_health_check,
    views.metrics,
    views.single_check,
    views.group_check,
]
FOUND = ["alive", "ready", "startup", "health", "health/default_cache", "health/group/worker"]
numbers = count()


@pytest.fixture(autouse=True)
def few_checks(settings: Any) -> None:
    groups = {"worker": {"checks": ["default_cache"]}}
    settings.LIFESIGNS = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"], "GROUPS": groups}


@pytest.fixture(params=["wsgi", "asgi"])
def get(request: pytest.FixtureRequest) -> Any:
    """A function that requests a path by a client of that kind of server."""
    if request.param == "wsgi":
        return Client().get
    return lambda path: asyncio.run(AsyncClient().get(path))


def page(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    """A page of the project's own."""
    return HttpResponse("theirs")


def urlconf(*patterns: Any) -> ModuleType:
    module = ModuleType(f"urls{next(numbers)}")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


LIFESIGNS = include("django_lifesigns.urls")
PLACES: list[tuple[str, list[Any], str]] = [
    ("root", [path("", LIFESIGNS)], "/"),
    ("prefix", [path("ops/v1/", LIFESIGNS)], "/ops/v1/"),
    ("namespace", [path("ops/", include(("django_lifesigns.urls", "ops"), namespace="probes"))], "/ops/"),
    ("argument", [path("<slug:tenant>/", LIFESIGNS)], "/shop/"),
    ("expression", [re_path(r"^(?P<tenant>\w+)/v(\d)/", LIFESIGNS)], "/shop/v2/"),
    ("nested", [path("a/", include([path("b/", LIFESIGNS)]))], "/a/b/"),
    ("language", i18n_patterns(path("ops/", LIFESIGNS)), "/ops/"),
    ("name", [path("elsewhere/", page, name="liveness_check"), path("", LIFESIGNS)], "/"),
]


@pytest.mark.parametrize(("patterns", "prefix"), [place[1:] for place in PLACES], ids=[place[0] for place in PLACES])
@pytest.mark.parametrize("probe", FOUND)
def test_place__is_found_before_all_else(settings: Any, get: Any, patterns: Any, prefix: str, probe: str) -> None:
    settings.ROOT_URLCONF = urlconf(*patterns)
    settings.MIDDLEWARE = [MIDDLEWARE, "django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE]
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT, settings.APPEND_SLASH = ["example.com"], True, True
    for url in (f"{prefix}{probe}/", f"{prefix}{probe}"):
        response = get(url)
        assert (response.status_code, response["Content-Type"]) == (200, "application/json"), url
        assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("language", ["", "/de", "/en"])
def test_language__any_and_none(settings: Any, get: Any, language: str) -> None:
    settings.ROOT_URLCONF = urlconf(*i18n_patterns(path("", LIFESIGNS)))
    settings.MIDDLEWARE = [MIDDLEWARE, "django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE]
    assert get(f"{language}/alive/").status_code == 200


def test_script_name__is_no_part_of_the_path(settings: Any, get: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("ops/", LIFESIGNS))
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    settings.FORCE_SCRIPT_NAME = "/shop"
    settings.SECURE_SSL_REDIRECT = True
    assert get("/ops/alive/").status_code == 200
    assert get("/alive/").status_code == 301


@pytest.mark.parametrize(
    "url",
    [
        "/shop/health/vitamins/",
        "/patients/health/42/",
        "/alive/and/well/",
        "/ready-made/",
        "/metrics-system/",
        "/x" * 10_000,
        "",
    ],
)
def test_others__are_the_projects(settings: Any, url: str) -> None:
    settings.ROOT_URLCONF = urlconf(path("", LIFESIGNS))
    assert find(url) is None


def test_prefix__is_not_at_the_root(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("ops/", LIFESIGNS))
    assert find("/ops/alive/") is not None
    assert find("/alive/") is None


def test_own_path__for_a_view_imported_by_name(settings: Any, get: Any) -> None:
    settings.ROOT_URLCONF = urlconf(
        path("up", views.liveness_check), path("db/", views.single_check, {"check": "default_cache"})
    )
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    settings.ALLOWED_HOSTS = ["example.com"]
    assert get("/up").json()["status"] == "alive"
    assert get("/db/").json()["status"] == "healthy"
    # What the project does not include is left to it: here to its check of hosts.
    assert get("/ready/").status_code == 400


@pytest.mark.parametrize("middleware", [[], [MIDDLEWARE]], ids=["views", "middleware"])
@pytest.mark.parametrize(
    ("url", "status"), [("/livez", "alive"), ("/readyz", "ready"), ("/startup", "started"), ("/healthz", "healthy")]
)
def test_kubernetes__names_without_a_slash(settings: Any, get: Any, middleware: Any, url: str, status: str) -> None:
    settings.ROOT_URLCONF = urlconf(path("", include("django_lifesigns.urls_kubernetes")), path("", LIFESIGNS))
    settings.MIDDLEWARE = [*middleware, *settings.MIDDLEWARE]
    response = get(url)
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert get("/alive/").status_code == 200


def test_kubernetes__names() -> None:
    names = ["livez", "readyz", "startup", "healthz", "healthz/group/<str:group>"]
    names.append("healthz/assets/<str:digest>/<str:name>")
    assert [str(url.pattern) for url in urls_kubernetes.urlpatterns] == names
    # Their names are others, so that both can be included.
    assert not {url.name for url in urls_kubernetes.urlpatterns} & {url.name for url in urls.urlpatterns}
    assert reverse("liveness_check") == "/alive/"


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_guards__of_a_view_imported_by_name(settings: Any, get: Any, monkeypatch: Any, view: Any) -> None:
    """No transaction, no login, no CSRF, no other method, nothing kept."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a probe depends on a transaction")

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setattr("django.db.transaction.atomic", refuse)
    settings.ROOT_URLCONF = urlconf(path("mine/", view, {"check": "default_cache", "group": "worker"}))
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    response = get("/mine/")
    assert response.status_code == (401 if view is views.metrics else 200)
    assert response["Cache-Control"] == "no-store"
    refused = Client(enforce_csrf_checks=True).post("/mine/")
    assert (refused.status_code, refused["Allow"], refused["Cache-Control"]) == (405, "GET, HEAD", "no-store")


def test_guards__below_a_decorator(settings: Any, get: Any) -> None:
    settings.ROOT_URLCONF = urlconf(path("mine/", cache_page(60)(views.liveness_check)))
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert get("/mine/").status_code == 200
    assert Client(enforce_csrf_checks=True).post("/mine/").status_code == 405


def test_view__is_called_as_any_other() -> None:
    request = RequestFactory().get("/")
    assert views.liveness_check(request).status_code == 200
    assert views.single_check(request, check="default_cache").status_code == 200

    async def in_a_loop() -> int:
        code: int = (await views.liveness_check(request)).status_code
        return code

    assert asyncio.run(in_a_loop()) == 200


def test_login__is_not_required_of_anybody(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    client = Client()
    assert client.get("/health/").status_code == 200
    client.force_login(User.objects.create_user("someone", is_staff=True))
    assert "hint" not in client.get("/health/").json()
