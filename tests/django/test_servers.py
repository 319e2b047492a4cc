"""The probes in gunicorn and uvicorn, requested as kubelet does and as no client should."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from django_lifesigns.targets.catalogue import CATALOGUE
from django_lifesigns.urls import urlpatterns
from tests.django.projects import ROOT
from tests.django.serving import COMMANDS, send_request, served
from tests.django.settings import MIDDLEWARE
from tests.services import wait_until

# Starts servers: not for the interpreters of the test matrix.
pytestmark = pytest.mark.services

TOKEN = "a-token-for-those-who-know"
HOST = {"host": "10.1.2.3:8000"}
KNOWN = {**HOST, "authorization": f"Bearer {TOKEN}"}
# A 503 has a meaning here. Others of 5xx are in no description, and so not conforming.
CONFORMING = ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]


@pytest.fixture(scope="module", params=COMMANDS)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a project that would refuse every probe, were it not for the middleware."""
    folder = tmp_path_factory.mktemp(request.param)
    busy = ["cpu_load", "memory_usage", "disk_space"]
    settings: dict[str, Any] = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        "MIDDLEWARE": ["django_lifesigns.middleware.ProbeMiddleware", *MIDDLEWARE],
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django_lifesigns",
        ],
        "ALLOWED_HOSTS": ["example.com"],
        "SECURE_SSL_REDIRECT": True,
        # The demo's own addresses are everybody here.
        "LIFESIGNS": {"TOKENS": [TOKEN], "NETWORKS": [], "DISABLED": busy},
    }
    with served(request.param, folder, settings) as port:
        wait_until(lambda: send_request(port, "/startup", host="10.1.2.3")[0] == 200, 60, "it does not start")
        yield port


@pytest.mark.parametrize("path", ["/alive/", "/ready/", "/startup/", "/health/", "/health/detailed/", "/ready"])
def test_kubelet__is_answered(port: int, path: str) -> None:
    code, headers, body = send_request(port, path, **HOST, **{"user-agent": "kube-probe/1.33", "accept": "*/*"})
    assert (code, headers["content-type"], headers["cache-control"]) == (200, "application/json", "no-store")
    assert json.loads(body)["status"] in ("alive", "ready", "started", "healthy")


@pytest.mark.parametrize("path", ["/alive/", "/health/", "/health/nil/"])
def test_head__has_no_body(port: int, path: str) -> None:
    got, head = send_request(port, path, **KNOWN), send_request(port, path, "HEAD", **KNOWN)
    if path != "/health/nil/":
        assert got[0] == head[0] == 200
    assert got[0] == head[0]
    assert got[2] != ""
    assert head[2] == ""


def test_details__by_token(port: int) -> None:
    everybody = json.loads(send_request(port, "/health/", **HOST)[2])
    known = json.loads(send_request(port, "/health/detailed/", **KNOWN)[2])
    assert set(everybody["checks"]) == set(CATALOGUE) - {"cpu_load", "memory_usage", "disk_space"}
    assert "message" not in everybody["checks"]["default_cache"]
    assert known["checks"]["default_cache"]["message"]
    assert known["system_info"]["pid"] > 0
    assert "history" in known


def test_others__are_refused_by_the_project(port: int) -> None:
    assert send_request(port, "/", **HOST)[0] == 400
    assert send_request(port, "/", host="example.com")[0] == 301


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /health/" + b"x" * 1_000_000 + b"/ HTTP/1.1",
        b"GET /health/?" + b"x" * 1_000_000 + b" HTTP/1.1",
        b"GET /health/?" + b"&".join([b"refresh=1"] * 2_000) + b" HTTP/1.1",
        b"GET /health/%00%ff/ HTTP/1.1",
        b"GET /health/\xff/ HTTP/1.1",
        b"GET //health// HTTP/1.1",
        b"GET /health/nil/ HTTP/1.1\r\nAccept: \xff\xfe;;q=",
        b"GET /alive/ HTTP/1.1\r\nAccept: " + b"a/b," * 5_000,
        b"GET /ready/ HTTP/1.1\r\nAuthorization: Bearer \xff",
        b"GET /health/ HTTP/1.1\r\nCookie: \xff\xfe=;;;",
        b"POST /ready/ HTTP/1.1\r\nContent-Length: 0",
        b"BREW /alive/ HTTP/1.1",
    ],
)
def test_malformed__no_server_error(port: int, request_line: bytes) -> None:
    code = raw(port, request_line)
    assert code is None or 200 <= code < 500
    assert send_request(port, "/alive/", **HOST)[0] == 200


PATHS = ["/alive", "/ready", "/startup", "/health", "/health/detailed", "/health/default_cache", "/health/nil"]
ODD = [
    b"\xff\xfe",
    b"\xc3\xa9/\xf0\x9f\xa6\x80",
    b"%00%ff",
    b"../../etc/passwd",
    b"x" * 7_000,
    b';q=,,=;"',
    b"{{7*7}}<script>",
]
HEADERS = [
    b"Accept",
    b"Authorization",
    b"Cookie",
    b"X-Forwarded-For",
    b"Host",
    b"Range",
    b"If-None-Match",
    b"Content-Type",
]

PREFIXES = {b"Authorization": (b"Bearer ", b"Basic "), b"Cookie": (b"sessionid=",), b"Accept": (b"text/html;q=",)}


@pytest.mark.parametrize("path", PATHS)
def test_hostile__no_server_error_at_any_endpoint(port: int, path: str) -> None:
    """Odd bytes in each header, in the query and behind the path, of anybody and of who is known."""
    known = f"Authorization: Bearer {TOKEN}".encode()
    for odd in ODD:
        heads = [b"%b: %b%b" % (name, prefix, odd) for name in HEADERS for prefix in (b"", *PREFIXES.get(name, ()))]
        for slash, query, head in [
            *(("/", b"", head) for head in heads),
            *(("/", b"?refresh=" + odd.replace(b" ", b""), head) for head in (b"X: y", known)),
            *(("", b"?" + odd.replace(b" ", b""), head) for head in (b"X: y", known)),
            ("/", odd.replace(b" ", b"") + b"/", known),
        ]:
            code = raw(port, b"GET %b%b HTTP/1.1\r\n%b" % (f"{path}{slash}".encode(), query, head))
            assert code is None or 200 <= code < 500, (path, slash, query, head, code)


def raw(port: int, request: bytes) -> int | None:
    """The code of the answer to these bytes; None for a server that hangs up on them."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        answer = b""
        with suppress(ConnectionError):  # refused before all of it was read
            client.sendall(request + b"\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n")
            answer = client.recv(65_536)
    return int(answer.split(b" ", 2)[1]) if answer else None


def test_description__has_every_url() -> None:
    import yaml  # here, since the interpreters of the test matrix read this module, too

    described = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["paths"]
    served = ["/" + re.sub("<[a-z]+:([a-z]+)>", r"{\1}", str(url.pattern)) for url in urlpatterns]
    assert sorted(described) == sorted(served)
    assert sorted(one["get"]["operationId"] for one in described.values()) == sorted(
        str(url.name) for url in urlpatterns
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("headers", [{}, KNOWN], ids=["anybody", "known"])
def test_fuzz__every_answer_is_as_described(port: int, headers: dict[str, str]) -> None:
    # Here, since the interpreters of the test matrix read this module, too.
    import hypothesis
    import schemathesis
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    checks = CHECKS.get_by_names(CONFORMING)
    schema = schemathesis.openapi.from_path(ROOT / "docs/openapi.yaml")
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # the test of an invalid description fails here

        @hypothesis.settings(max_examples=25, deadline=None, database=None, derandomize=True)
        @hypothesis.given(case=operation.as_strategy())
        def fuzz(case: Any) -> None:
            response = case.call(base_url=f"http://127.0.0.1:{port}", headers={**HOST, **headers})
            case.validate_response(response, checks=checks)

        fuzz()
