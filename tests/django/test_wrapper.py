"""`django_lifesigns.probes`: the probes in front of an application, where the middleware cannot be the first."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory

from django_lifesigns import probes
from tests.django.serving import send_request, serving
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

GUNICORN = ("gunicorn", "wrapped:wsgi", "--bind", "127.0.0.1:{port}", "--no-control-socket")
SERVERS = {
    "gunicorn": GUNICORN,
    "uvicorn": ("uvicorn", "wrapped:asgi", "--port", "{port}"),
    "gunicorn-uvicorn": ("gunicorn", "wrapped:asgi", *GUNICORN[2:], "--worker-class", "uvicorn_worker.UvicornWorker"),
    "hypercorn": ("hypercorn", "wrapped:asgi", "--bind", "127.0.0.1:{port}", "--workers", "0"),
    "granian-asgi": ("granian", "wrapped:asgi", "--interface", "asgi", "--port", "{port}"),
    "granian-wsgi": ("granian", "wrapped:wsgi", "--interface", "wsgi", "--port", "{port}"),
    "daphne": ("daphne", "wrapped:asgi", "--bind", "127.0.0.1", "--port", "{port}"),
}
MODULE = """
import django_lifesigns
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

asgi = django_lifesigns.probes(get_asgi_application())
wsgi = django_lifesigns.probes(get_wsgi_application())
"""
# With the budget of a busy machine.
LIFESIGNS = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"], "READY_BUDGET": 20}
REFUSES = (
    "class Refuses:\n    def __init__(self, get_response): pass\n    def __call__(self, request): raise SystemError\n"
)


@pytest.fixture(autouse=True)
def hostile_project(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.SECURE_SSL_REDIRECT = True
    settings.LIFESIGNS = LIFESIGNS


def wsgi_request(path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    application: Any = probes(get_wsgi_application())
    environ = RequestFactory().generic(method, path, headers={"host": "10.1.2.3"}).environ
    started: list[Any] = []
    body = b"".join(application(environ, lambda *arguments: started.extend(arguments)))
    return int(started[0].split()[0]), {name.lower(): value for name, value in started[1]}, body


def asgi_request(
    path: str, method: str = "GET", root: str = "", query: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    scope = {
        "type": "http",
        "method": method,
        "path": root + path,
        "root_path": root,
        "query_string": query,
        "headers": [(b"host", b"10.1.2.3")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []

    async def main() -> None:
        messages = [{"type": "http.request", "body": b""}]

        async def receive() -> Any:
            if not messages:
                await asyncio.sleep(30)
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        application: Any = probes(get_asgi_application())
        await application(scope, receive, send)

    asyncio.run(main())
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("request_path", [wsgi_request, asgi_request])
@pytest.mark.parametrize("path", ["/alive/", "/ready", "/startup/", "/health/", "/health/default_cache/"])
def test_probe__is_answered(request_path: Any, path: str) -> None:
    code, headers, body = request_path(path)
    assert (code, headers["cache-control"], headers["content-type"]) == (200, "no-store", "application/json")
    assert int(headers["content-length"]) == len(body)
    assert json.loads(body)["status"] in ("alive", "ready", "started", "healthy")
    code, headers, body = request_path(path, "HEAD")
    assert (code, body) == (200, b"")
    assert request_path(path, "POST")[0] == 405


@pytest.mark.parametrize("request_path", [wsgi_request, asgi_request])
def test_others__go_to_the_application(request_path: Any) -> None:
    assert request_path("/")[0] in (301, 400)
    assert request_path("/shop/health/vitamins/")[0] in (301, 400)


def test_root_path__is_no_part_of_the_path() -> None:
    assert asgi_request("/alive/", root="/shop")[0] == 200


def test_query__of_bytes_that_are_no_text_is_a_bad_request() -> None:
    assert asgi_request("/alive/", query=b"a=\xff")[0] == 400
    assert asgi_request("/alive/", query=b"a=%FF")[0] == 200


def test_other_scopes__go_to_the_application() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def main() -> None:
        await probes(application)({"type": "lifespan"}, None, None)
        await probes(application)({"type": "websocket", "path": "/alive/"}, None, None)

    asyncio.run(main())
    assert seen == ["lifespan", "websocket"]


WITHOUT_APP = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=[], ROOT_URLCONF="none")
import django_lifesigns
from django.core.wsgi import get_wsgi_application
django_lifesigns.probes(get_wsgi_application())
"""


def test_app_that_is_not_installed__is_said_when_the_server_loads() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_APP], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    needed = "ImproperlyConfigured: django_lifesigns.probes() needs 'django_lifesigns' in INSTALLED_APPS."
    assert done.stderr.splitlines()[-1].endswith(needed)


def test_import__needs_no_settings() -> None:
    program = "import django_lifesigns; print(django_lifesigns.probes.__doc__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "ProbeMiddleware" in done.stdout


@pytest.mark.services
@pytest.mark.parametrize("server", SERVERS)
def test_server__answers_before_all_middleware(tmp_path: Path, server: str) -> None:
    (tmp_path / "wrapped.py").write_text(MODULE)
    (tmp_path / "refusing.py").write_text(REFUSES)
    settings: dict[str, Any] = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}},
        "MIDDLEWARE": ["refusing.Refuses"],
        "ALLOWED_HOSTS": ["example.com"],
        "LIFESIGNS": LIFESIGNS,
    }
    with serving(SERVERS[server], tmp_path, settings) as running:
        wait_until(lambda: code(running.port, "/alive/") == 200, 60, running.log)
        for path in ("/ready/", "/startup/", "/health/", "/health/default_cache/", "/ready"):
            assert code(running.port, path) == 200, path
        assert send_request(running.port, "/health/", "HEAD", host="10.1.2.3")[::2] == (200, "")
        assert send_request(running.port, "/ready/", "POST", **{"host": "10.1.2.3", "content-length": "0"})[0] == 405
        assert code(running.port, "/") == 500


def code(port: int, path: str) -> int:
    try:
        return send_request(port, path, host="10.1.2.3")[0]
    except OSError:
        return 0
