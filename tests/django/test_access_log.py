"""Probes are left out of access logs, each server's, and nothing else is."""

from __future__ import annotations

import logging
import logging.config
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.urls import include, path

from django_lifesigns.http.access_log import ProbeFilter
from tests.django.projects import ROOT
from tests.django.serving import send_request, serving
from tests.services import wait_until

COMBINED = '10.0.0.1 - - [24/Nov/2026:06:00:00 +0000] "{line}" {code} 5 "-" "kube-probe/1.33"'
FORMATS = {
    "runserver": '"{line}" {code} 12',
    "uvicorn": '10.0.0.1:4711 - "{line}" {code}',
    "gunicorn": COMBINED,
    "granian": '[2026-11-24 06:00:00 +0000] 10.0.0.1 - "{line}" {code} 3.120',
    "hypercorn": '10.0.0.1:4711 - - [24/Nov/2026:06:00:00 +0000] "{path}" {code} 12 "-" "kube-probe/1.33"',
    "daphne": '10.0.0.1:4711 - - [24/Nov/2026:06:00:00] "{target}" {code} 12',
    "daphne runserver": "HTTP {target} {code} [0.01, 10.0.0.1:4711]",
    "daphne in colours": "\x1b[32;1mHTTP {target} {code} [0.01, 10.0.0.1:4711]\x1b[0m",
}


def kept(line: str) -> bool:
    record = logging.LogRecord("django.server", logging.INFO, "", 0, "%s", (line,), None)
    return bool(ProbeFilter().filter(record))


@pytest.fixture
def prefix(settings: Any) -> str:
    module = ModuleType("prefixed")
    module.urlpatterns = [path("ops/", include("django_lifesigns.urls"))]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = module
    return "/ops"


@pytest.mark.parametrize("server", FORMATS)
@pytest.mark.parametrize(
    ("method", "target", "code", "is_kept"),
    [
        ("GET", "/alive/", 200, False),
        ("HEAD", "/alive", 200, False),
        ("GET", "/health/default_cache/?refresh=1", 200, False),
        ("GET", "/metrics/", 200, False),
        ("GET", "/ready/", 503, True),
        ("GET", "/ready/", 301, True),
        ("POST", "/alive/", 200, True),
        ("GET", "/aliveness/", 200, True),
        ("GET", "/healthy/food/", 200, True),
        ("GET", "/shop/health/vitamins/", 200, True),
        ("GET", "/patients/health/42/", 200, True),
        ("GET", "/", 200, True),
    ],
)
def test_line__of_each_server(server: str, method: str, target: str, code: int, is_kept: bool) -> None:
    line = FORMATS[server].format(
        line=f"{method} {target} HTTP/1.1", path=f"{method} {target} 1.1", target=f"{method} {target}", code=code
    )
    assert kept(line) is is_kept


@pytest.mark.parametrize(
    "line",
    [
        '"GET / HTTP/1.1" 200 12 "http://x/alive/"',
        '10.0.0.1 - - [x] "GET /secret HTTP/1.1" 200 5 "GET /alive/ HTTP/1.1" 200 "-"',
        '10.0.0.1 - - [x] "GET /secret HTTP/1.1" 200 5 "-" "HTTP GET /alive/ 200"',
        '"GET /secret?x=HTTP HTTP/1.1" 200 5',
        "x" * 100_000,
        "",
    ],
)
def test_line__that_only_mentions_a_probe_is_kept(line: str) -> None:
    assert kept(line)


def test_prefix__is_that_of_the_project(prefix: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not kept(f'"GET {prefix}/alive/ HTTP/1.1" 200 12')
    assert kept('"GET /alive/ HTTP/1.1" 200 12')
    assert kept('"GET /shop/ops/alive/ HTTP/1.1" 200 12')
    settings.FORCE_SCRIPT_NAME = "/shop"
    assert not kept('"GET /shop/ops/alive/ HTTP/1.1" 200 12')
    monkeypatch.setenv("SCRIPT_NAME", "/other")
    assert not kept('"GET /other/ops/alive/ HTTP/1.1" 200 12')


def test_urls_that_cannot_be_read__keep_the_line(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.django.broken_module"
    assert kept('"GET /alive/ HTTP/1.1" 200 12')


def recipe() -> dict[str, Any]:
    """The `LOGGING` of the documentation as it stands."""
    [text] = re.findall(r"```python\n(LOGGING = .*?)```", (ROOT / "docs/guides/access-logs.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(text, names)
    logging_settings: dict[str, Any] = names["LOGGING"]
    return logging_settings


def test_recipe__takes_no_handler_away() -> None:
    logger = logging.getLogger("uvicorn.access")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        logging.config.dictConfig(recipe())
        assert handler in logger.handlers
        assert any(isinstance(one, ProbeFilter) for one in logger.filters)
        assert not logger.disabled
    finally:
        logger.removeHandler(handler)
        for name in recipe()["filters"]["probes"]["loggers"]:
            one = logging.getLogger(name)
            one.filters = [old for old in one.filters if not isinstance(old, ProbeFilter)]


SERVERS = {
    "runserver": ("django", "runserver", "--noreload", "127.0.0.1:{port}"),
    "gunicorn": ("gunicorn", "demo.wsgi", "--bind", "127.0.0.1:{port}", "--access-logfile", "-", "--no-control-socket"),
    "uvicorn": ("uvicorn", "demo.asgi:application", "--port", "{port}"),
    "hypercorn": (
        *("hypercorn", "demo.asgi:application", "--bind", "127.0.0.1:{port}"),
        *("--access-logfile", "-", "--workers", "0"),
    ),
    "granian": ("granian", "demo.asgi:application", "--interface", "asgi", "--port", "{port}", "--access-log"),
}


@pytest.mark.services
@pytest.mark.parametrize("server", SERVERS)
def test_recipe__in_a_server(tmp_path: Path, server: str) -> None:
    settings: dict[str, Any] = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}},
        "LOGGING": recipe(),
    }
    with serving(SERVERS[server], tmp_path, settings) as running:
        wait_until(lambda: answered(running.port), 60, running.log)
        for _ in range(3):
            assert send_request(running.port, "/health/default_cache/", host="localhost")[0] == 200
        send_request(running.port, "/a-page-of-the-project/", host="localhost")
        wait_until(lambda: "/a-page-of-the-project/" in running.log(), 60, running.log)
        assert "/health/default_cache/" not in running.log()
        assert "/alive/" not in running.log()


def answered(port: int) -> bool:
    try:
        return send_request(port, "/alive/", host="localhost")[0] == 200
    except OSError:
        return False
