"""ProbeMiddleware: probes are answered whatever the rest of the stack would make of them."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

from django_lifesigns.middleware import ProbeMiddleware

MIDDLEWARE = "django_lifesigns.middleware.ProbeMiddleware"
TOKEN = "a-token-for-those-who-know"

pytestmark = pytest.mark.django_db(transaction=True)


def refuses(get_response: Any) -> Any:
    """A middleware that no request gets through."""

    def refuse(request: HttpRequest) -> HttpResponse:
        return HttpResponse("refused", status=418)

    return refuse


@pytest.fixture(autouse=True)
def hostile_project(settings: Any) -> None:
    """Everything that has kept probes from being answered, behind the middleware."""
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE, f"{__name__}.refuses"]
    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "CHECKS": {"mine": {"check": lambda: "all is well"}},
        "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
    }


@pytest.fixture(params=["wsgi", "asgi"])
def get(request: pytest.FixtureRequest) -> Any:
    """A function that requests a path as kubelet does, by a client of that kind of server."""
    if request.param == "wsgi":
        return lambda path, **extra: Client().get(path, headers={"host": "10.1.2.3:8000", **extra})
    return lambda path, **extra: asyncio.run(AsyncClient().get(path, headers={"host": "10.1.2.3:8000", **extra}))


def urlconf(name: str, *patterns: Any) -> ModuleType:
    module = ModuleType(name)
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("path", ["/alive/", "/ready/", "/startup/", "/health/", "/health/mine/", "/alive", "/health"])
def test_probe__is_answered(get: Any, path: str) -> None:
    response = get(path)
    assert response.status_code == 200, response.content
    assert response["Cache-Control"] == "no-store"
    assert int(response["Content-Length"]) == len(response.content)


@pytest.mark.parametrize(
    "path", ["/", "/other/", "/alive/more/", "/aliveness/", "/Alive/", "//alive/", "/health//", "/shop/health/nothing/"]
)
def test_others__go_on(get: Any, path: str) -> None:
    # Refused as the project refuses them: by the redirect to https, or for their host.
    assert get(path).status_code in (301, 400)


def test_unknown_check__is_404_and_no_redirect(get: Any) -> None:
    for unknown in ("/health/nothing/", "/health/nothing"):
        response = get(unknown)
        assert (response.status_code, response.json()["status"]) == (404, "unknown")


def test_unknown_check__where_the_project_has_a_page(get: Any, settings: Any) -> None:
    theirs = path("health/<slug:topic>/", lambda request, topic: HttpResponse("theirs"))
    settings.ROOT_URLCONF = urlconf("topics", theirs, path("", include("django_lifesigns.urls")))
    for page in ("/health/vitamins/", "/health/vitamins"):
        assert get(page).status_code in (301, 400)
    assert get("/health/mine/").status_code == 200


def test_probe__no_query(get: Any, as_in_a_server: None, django_assert_num_queries: Any) -> None:
    get("/health/")
    with django_assert_num_queries(0):
        assert get("/ready/").status_code == 200
        assert get("/alive/").status_code == 200


def test_probe__with_cookie_of_a_session(get: Any) -> None:
    assert get("/ready/", cookie="sessionid=x").status_code == 200
    assert get("/health/", cookie="sessionid=x").status_code == 200
    assert get("/health/mine/", cookie="other=x").status_code == 200


def test_session__is_known_to_the_middleware() -> None:
    client = Client()
    client.force_login(User.objects.create_user("someone", is_staff=True))
    assert client.get("/health/mine/").json()["message"] == "all is well"


def test_token__is_known_to_the_middleware(get: Any) -> None:
    assert get("/health/mine/", authorization=f"Bearer {TOKEN}").json()["message"] == "all is well"
    assert "message" not in get("/health/mine/").json()


def test_metrics__as_the_views(get: Any) -> None:
    response = get("/metrics", authorization=f"Bearer {TOKEN}")
    assert response.status_code == 200
    assert b"# TYPE health_status gauge" in response.content
    assert get("/metrics/").status_code == 401


def test_metrics__where_the_project_has_its_own(get: Any, settings: Any) -> None:
    """As those of other packages, which stand at `/metrics`, too."""
    theirs = path("metrics", lambda request: HttpResponse("theirs"))
    settings.ROOT_URLCONF = urlconf("theirs", theirs, path("", include("django_lifesigns.urls")))
    assert get("/metrics", authorization=f"Bearer {TOKEN}").status_code in (301, 400)
    assert get("/metrics/", authorization=f"Bearer {TOKEN}").status_code == 200


def test_methods__as_the_views() -> None:
    head = Client().head("/health/", headers={"host": "10.1.2.3"})
    assert (head.status_code, head.content) == (200, b"")
    assert Client().post("/health/", headers={"host": "10.1.2.3"}).status_code == 405


@pytest.mark.parametrize(
    ("patterns", "found", "not_found"),
    [
        ([path("ops/v1/", include("django_lifesigns.urls"))], "/ops/v1/alive/", "/alive/"),
        ([path("ops/", include("django_lifesigns.urls_kubernetes"))], "/ops/livez", "/alive/"),
    ],
)
def test_prefix__is_that_of_the_project(get: Any, settings: Any, patterns: Any, found: str, not_found: str) -> None:
    settings.ROOT_URLCONF = urlconf(f"urls of {found}", *patterns)
    assert get(found).status_code == 200
    assert get(not_found).status_code in (301, 400)


@pytest.mark.parametrize("included", [[], [path("", include("django_lifesigns.urls_kubernetes"))]])
@pytest.mark.parametrize("page", ["/alive/", "/ready/", "/health/", "/health/mine/", "/metrics"])
def test_page_of_the_project__where_no_probe_is_included(get: Any, settings: Any, included: Any, page: str) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT, settings.MIDDLEWARE = ["*"], False, [MIDDLEWARE]
    theirs = path(page[1:], lambda request: HttpResponse("theirs"))
    settings.ROOT_URLCONF = urlconf(f"theirs at {page} with {len(included)}", theirs, *included)
    assert get(page).content == b"theirs"
    settings.ROOT_URLCONF = urlconf(f"nothing at {page} with {len(included)}", *included)
    assert get(page).status_code == 404


def test_prefix__below_a_script_name(settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf("scripted", path("ops/", include("django_lifesigns.urls")))
    settings.FORCE_SCRIPT_NAME = "/shop"
    assert Client().get("/ops/alive/", headers={"host": "10.1.2.3"}).status_code == 200


def test_middleware__is_of_the_kind_that_it_wraps() -> None:
    async def respond(request: HttpRequest) -> HttpResponse:
        return HttpResponse("the page")

    middleware = ProbeMiddleware(respond)  # type: ignore[arg-type]
    assert iscoroutinefunction(middleware)
    request = HttpRequest()
    request.path_info = "/page/"
    assert asyncio.run(middleware(request)).content == b"the page"
    assert not iscoroutinefunction(ProbeMiddleware(lambda request: HttpResponse()))


def test_query__malformed(get: Any) -> None:
    assert get("/health/?" + "&".join(["refresh=1"] * 5_000)).status_code == 200
    assert get("/alive/", accept="<script>").status_code == 200


@pytest.mark.parametrize("place", [0, 1])
def test_system_check__first(settings: Any, place: int) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"]
    settings.MIDDLEWARE.insert(place, MIDDLEWARE)
    ours = [message.id for message in run_checks() if str(message.id).startswith("lifesigns.")]
    assert ours == ["lifesigns.W011"] * place


def test_middleware_without_the_app_is_refused_when_it_is_made(settings: Any) -> None:
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django_lifesigns"]
    with pytest.raises(ImproperlyConfigured, match="needs 'django_lifesigns' in INSTALLED_APPS"):
        ProbeMiddleware(lambda _: HttpResponse())
