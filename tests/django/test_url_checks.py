"""`manage.py check` on what would keep a probe from being answered, and its silence where nothing does."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path

from django_lifesigns.settings import placement
from tests.django import settings as plain

MIDDLEWARE = "django_lifesigns.middleware.ProbeMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
LIFESIGNS = include("django_lifesigns.urls")
# Django's own system checks of models query the database.
pytestmark = pytest.mark.django_db(transaction=True)


def page(request: HttpRequest) -> HttpResponse:
    """A page of the project's own."""
    return HttpResponse("theirs")


def found(settings: Any, middleware: list[str], patterns: Any = None, **more: Any) -> list[str]:
    """The ids and first words of what is said of a project with these settings."""
    module = ModuleType(f"urls{id(patterns)}")
    module.urlpatterns = [path("", LIFESIGNS)] if patterns is None else patterns  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = module
    settings.MIDDLEWARE = middleware
    for name, value in more.items():
        setattr(settings, name, value)
    ours = [message for message in run_checks() if str(message.id).startswith("lifesigns.")]
    return [f"{str(message.id).removeprefix('lifesigns.')} {message.msg.split()[0]}" for message in ours]


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"SECURE_SSL_REDIRECT": True}, "W020 SECURE_SSL_REDIRECT"),
    ({"ALLOWED_HOSTS": ["example.com"]}, "W020 ALLOWED_HOSTS"),
    ({"ALLOWED_HOSTS": []}, "W020 ALLOWED_HOSTS"),
    ({"APPEND_SLASH": True}, "W020 APPEND_SLASH"),
    ({"PREPEND_WWW": True}, "W020 PREPEND_WWW"),
]


@pytest.mark.parametrize(("hostile", "said"), HOSTILE)
def test_setting__is_warned_of_without_the_middleware_alone(settings: Any, hostile: Any, said: str) -> None:
    assert found(settings, plain.MIDDLEWARE, **hostile) == [said]
    assert found(settings, [MIDDLEWARE, *plain.MIDDLEWARE], **hostile) == []
    assert found(settings, [*plain.MIDDLEWARE, MIDDLEWARE], **hostile) == ["W011 " + MIDDLEWARE, said]


def test_setting__matters_where_its_middleware_is(settings: Any) -> None:
    more = {"SECURE_SSL_REDIRECT": True, "ALLOWED_HOSTS": ["example.com"], "APPEND_SLASH": True}
    assert found(settings, [SECURITY, MIDDLEWARE, *plain.MIDDLEWARE[1:]], **more) == [
        "W011 " + MIDDLEWARE,
        "W020 SECURE_SSL_REDIRECT",
    ]


def test_ssl_redirect__with_the_probes_exempt(settings: Any) -> None:
    exempt = [r"^(alive|ready|startup|metrics)/$", "^health/"]
    assert found(settings, [SECURITY], SECURE_SSL_REDIRECT=True, SECURE_REDIRECT_EXEMPT=exempt) == []
    assert found(settings, [SECURITY], SECURE_SSL_REDIRECT=True, SECURE_REDIRECT_EXEMPT=exempt[:1]) == [
        "W020 SECURE_SSL_REDIRECT"
    ]


def test_languages__redirect_what_has_none(settings: Any) -> None:
    patterns = i18n_patterns(path("", LIFESIGNS))
    middleware = [LOCALE, *plain.MIDDLEWARE]
    assert found(settings, middleware, patterns) == ["W020 The"]
    assert found(settings, [MIDDLEWARE, *middleware], patterns) == []


@pytest.mark.parametrize("first", [[], [MIDDLEWARE]])
def test_other_page__before_a_probe(settings: Any, first: list[str]) -> None:
    middleware = [*first, *plain.MIDDLEWARE]
    assert found(settings, middleware, [path("health/", page), path("", LIFESIGNS)]) == ["W021 /health/"]
    everything = [re_path(".*", page), path("", LIFESIGNS)]
    assert len(found(settings, middleware, everything)) == 7
    assert found(settings, middleware, [path("", LIFESIGNS), path("health/", page), re_path(".*", page)]) == []
    assert found(settings, middleware, [path("metrics", page), path("", LIFESIGNS)]) == []


def test_debug__allows_the_defaults_of_a_new_project(settings: Any) -> None:
    assert found(settings, plain.MIDDLEWARE, DEBUG=True, ALLOWED_HOSTS=[], APPEND_SLASH=True) == []


@pytest.mark.parametrize("setting", ["SECURE_SSL_REDIRECT", "PREPEND_WWW"])
def test_debug__does_not_hide_configured_redirects(settings: Any, setting: str) -> None:
    assert found(settings, plain.MIDDLEWARE, DEBUG=True, **{setting: True}) == [f"W020 {setting}"]
    assert found(settings, [MIDDLEWARE, *plain.MIDDLEWARE], DEBUG=True, **{setting: True}) == []


@pytest.mark.parametrize(
    ("patterns", "options", "said"),
    [
        ([path("health/", page)], {}, ["W013 ProbeMiddleware"]),
        ([], {}, ["W013 ProbeMiddleware"]),
        ([], {"PROBE_SERVER": "127.0.0.1:9464"}, []),
        ([], {"BACKGROUND": True}, []),
        ([path("ops/", include("django_lifesigns.urls_kubernetes"))], {}, []),
        ([path("", LIFESIGNS)], {}, []),
    ],
)
def test_middleware__without_a_probe_in_the_urls(settings: Any, patterns: Any, options: Any, said: list[str]) -> None:
    assert found(settings, [MIDDLEWARE, *plain.MIDDLEWARE], patterns, LIFESIGNS=options) == said
    assert found(settings, plain.MIDDLEWARE, patterns, LIFESIGNS={}) == []


def test_logging__handlers_that_are_lost(settings: Any) -> None:
    filters = {"probes": {"()": "django_lifesigns.http.access_log.ProbeFilter"}}
    loggers = {"uvicorn.access": {"filters": ["probes"]}, "django.server": {"filters": ["probes"], "handlers": ["x"]}}
    middleware = [MIDDLEWARE, *plain.MIDDLEWARE]
    settings.LOGGING_CONFIG = None  # Django 6.1 applies LOGGING where a test sets it
    assert found(settings, middleware, LOGGING={"filters": filters, "loggers": loggers}) == [
        "W022 LOGGING['loggers']['uvicorn.access']"
    ]
    assert found(settings, middleware, LOGGING={"filters": filters}) == []
    named = {"probes": {**filters["probes"], "loggers": ["uvicorn.access", "gunicorn.access"]}}
    level_alone = {"uvicorn.access": {"level": "INFO"}, "shop": {"level": "INFO"}}
    assert found(settings, middleware, LOGGING={"filters": named, "loggers": level_alone}) == [
        "W022 LOGGING['loggers']['uvicorn.access']"
    ]
    kept = {"uvicorn.access": {"propagate": True}, "gunicorn.access": {"level": "INFO", "handlers": ["x"]}}
    assert found(settings, middleware, LOGGING={"filters": named, "loggers": kept}) == []
    assert found(settings, middleware, LOGGING={"incremental": True, "filters": named, "loggers": level_alone}) == []
    assert found(settings, middleware, LOGGING={"filters": [], "loggers": None}) == []


@pytest.mark.parametrize(
    ("text", "wrapped"),
    [
        ("import django_lifesigns\napplication = django_lifesigns.probes(get_asgi_application())\n", True),
        ("from django_lifesigns import probes\napplication = probes(x)\n", True),
        ("import django_lifesigns\n# application = django_lifesigns.probes(x)\n", False),
        ("application = probes(x)\n", False),
        ("", False),
    ],
)
def test_wrapped_application__needs_no_middleware(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, wrapped: bool
) -> None:
    folder = tmp_path / f"made_up_{abs(hash(text))}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "asgi.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    more = {"WSGI_APPLICATION": f"{folder.name}.wsgi.application", "LIFESIGNS": {"BACKGROUND": True}}
    said = found(settings, plain.MIDDLEWARE, ALLOWED_HOSTS=["example.com"], **more)
    assert said == ([] if wrapped else ["W013 LIFESIGNS['BACKGROUND']", "W020 ALLOWED_HOSTS"])
    assert placement.is_wrapped() is wrapped


@pytest.mark.parametrize("path", [None, 7, "", "nothing", "no.such.wsgi.application"])
def test_wrapped_application__that_cannot_be_found(settings: Any, path: Any) -> None:
    settings.WSGI_APPLICATION = path
    assert placement.is_wrapped() is False
