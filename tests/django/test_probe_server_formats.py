"""The probe server answers as the views do: the same bodies, formats and rules about who sees what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

import pytest
from django.test import Client

from django_lifesigns.runtime.engine import on_request
from django_lifesigns.runtime.startup import get_startup
from lifesigns import ProbeServer
from tests.process.probes import Answer, fetch

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-for-those-who-know"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
HINT = "Messages and details require a bearer token or an allowed network"
FORMATS = {
    "json": "application/json",
    "health+json": "application/health+json",
    "text": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
# What is of the moment of an answer, or of who gives it.
OF_THE_MOMENT = {"uptime_seconds", "age_seconds", "correlation_id", "hint", "notes"}
HEADERS = ("Content-Type", "Cache-Control", "X-Content-Type-Options")


def failing() -> dict[str, object]:
    return {"status": "error", "message": "it is <b>'broken' & \"more\"</b>\nand café", "details": {"part": [7, 0.5]}}


@pytest.fixture
def runs() -> list[int]:
    return []


@pytest.fixture
def server(settings: Any, runs: list[int]) -> Iterator[ProbeServer]:
    """Of a project one of whose checks fails; all results are known, and stay."""
    checks = {
        "mine": {"check": failing, "critical": True, "ttl": 600},
        "counted": {"check": lambda: runs.append(1), "critical": False, "ttl": 600},
    }
    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "DEFAULT_TTL": 600,
        "READY_MAX_AGE": 600,
        "CHECKS": checks,
        "DISABLED": ["cpu_load", "memory_usage", "disk_space", "directory_permissions"],
    }
    runtime = on_request()
    # The first finds since when a check fails; from then on nothing changes.
    runtime.engine.run()
    get_startup().engine.run()
    options: Any = {"ready_max_age": 600, "tokens": [TOKEN], "startup": get_startup().engine}
    with runtime.engine.serve("127.0.0.1:0", **options) as server:
        yield server


def both(server: ProbeServer, path: str, headers: dict[str, str], query: str = "") -> tuple[Any, Answer]:
    """The answers of the view and of the probe server."""
    view = Client().get(f"{path}{query}", headers={name.lower(): value for name, value in headers.items()})
    return view, fetch(server.address, f"{path}{query}", headers=headers)


def steady(value: Any, *, is_result: bool = False) -> Any:
    """Without what is of the moment: of an answer its timestamp, too, while that of a result is when its run ended."""
    if not isinstance(value, dict):
        return value
    return {
        name: {key: steady(item, is_result=True) for key, item in value[name].items()}
        if name in ("checks", "details") and not is_result
        else value[name]
        for name in value.keys() - (OF_THE_MOMENT if is_result else OF_THE_MOMENT | {"timestamp"})
    }


PATHS = ["/alive/", "/ready/", "/startup/", "/health/", "/health/mine/", "/health/counted/", "/health/other/"]


@pytest.mark.parametrize("headers", [{}, KNOWN], ids=["anonymous", "known"])
@pytest.mark.parametrize("path", PATHS)
def test_bodies_are_those_of_the_views(server: ProbeServer, path: str, headers: dict[str, str]) -> None:
    for name, content_type in FORMATS.items():
        view, answer = both(server, path, headers, f"?format={name}")
        assert answer.code == view.status_code
        assert [answer.headers[header] for header in HEADERS] == [view.get(header) for header in HEADERS]
        assert answer.headers["Content-Type"] == content_type
        ours, theirs = answer.body.decode(), view.content.decode()
        if "json" in name:
            is_result = path in ("/health/mine/", "/health/counted/")
            assert steady(json.loads(ours), is_result=is_result) == steady(json.loads(theirs), is_result=is_result)
            assert ("hint" in json.loads(ours)) is ("hint" in json.loads(theirs))
            assert ("notes" in json.loads(ours)) is ("notes" in json.loads(theirs))
        elif name == "text":
            assert ours == theirs
        else:
            body = both(server, path, headers)[0].json()
            assert_page(ours, body, body.get("details" if path == "/ready/" else "checks", {}))


def assert_page(page: str, body: Any, results: Any) -> None:
    """The native page needs no other file, and says what the view says, of each check, too."""
    assert not re.search("<link|<script", page)
    assert f">{body['status']}</b> {escape(body.get('message', ''))}</h1>" in page
    rows = re.findall(r"<tr><td>(.*?)<td><b class=\"(\w+)\">\2</b><td>.*?<td>(.*?)</tr>", page, re.DOTALL)
    expected = [(name, result["status"], escape(result.get("message", ""))) for name, result in results.items()]
    assert rows == expected


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "html"),
        ("application/health+json", "health+json"),
        ("text/plain;q=0.9, text/html;q=0.8", "text"),
        ("*", "json"),
        (";;q=", "json"),
        ("\xff\xfe", "json"),
        ("a/b," * 2_000, "json"),
    ],
)
def test_accept_header_is_understood_as_by_the_views(server: ProbeServer, accept: str, chosen: str) -> None:
    for path in ("/health/", "/alive/"):
        view, answer = both(server, path, {"Accept": accept})
        assert answer.headers["Content-Type"] == view["Content-Type"] == FORMATS[chosen]


def test_hint_is_the_same_for_all_anonymous_callers(server: ProbeServer) -> None:
    for path in ("/ready", "/startup", "/health", "/health/mine", "/healthz", "/readyz"):
        assert fetch(server.address, path).json()["hint"] == HINT
        assert fetch(server.address, path, headers={"Authorization": "Bearer wrong"}).json()["hint"] == HINT
        assert "hint" not in fetch(server.address, path, headers=KNOWN).json()
    assert "hint" not in fetch(server.address, "/alive").json()


def test_hint_is_left_out_where_details_are_never_shown(server: ProbeServer) -> None:
    with on_request().engine.serve("127.0.0.1:0", tokens=[TOKEN], show_details="never") as closed:
        body = fetch(closed.address, "/health", headers=KNOWN).json()
        assert "hint" not in body
        assert "message" not in body["checks"]["mine"]


@pytest.mark.parametrize(
    ("path", "own", "status"),
    [("/livez", "/alive", "alive"), ("/readyz/", "/ready", "not_ready"), ("/healthz", "/health", "unhealthy")],
)
def test_kubernetes_paths_are_the_same_probes(server: ProbeServer, path: str, own: str, status: str) -> None:
    answer, same = fetch(server.address, path), fetch(server.address, own)
    assert (answer.code, answer.json()["status"]) == (same.code, status)
    assert answer.json().keys() == same.json().keys()


def test_refresh_is_for_authorized_callers(server: ProbeServer, runs: list[int]) -> None:
    assert runs == [1]
    for path in ("/health/?refresh", "/health/counted/?refresh=1", "/health/?refresh=0&refresh=yes"):
        view, answer = both(server, path, {})
        assert (answer.code, answer.json()["status"]) == (view.status_code, "forbidden") == (403, "forbidden")
    assert runs == [1]
    for query in ("", "?refresh=0", "?refresh=false"):
        assert fetch(server.address, f"/health/counted{query}", headers=KNOWN).code == 200
    assert runs == [1]
    answer = fetch(server.address, "/health/counted?refresh=1", headers=KNOWN)
    assert (answer.code, answer.json()["cached"], runs) == (200, False, [1, 1])
    report = fetch(server.address, "/health/?refresh", headers=KNOWN).json()
    assert (report["checks"]["counted"]["cached"], runs) == (False, [1, 1, 1])
    # These have a budget, and are no places for it.
    assert fetch(server.address, "/ready?refresh").code == 503
    assert runs == [1, 1, 1]


def test_metrics_are_refused_in_the_format_of_the_caller(server: ProbeServer) -> None:
    for name in FORMATS:
        view, answer = both(server, "/metrics/", {}, f"?format={name}")
        assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.headers["Content-Type"] == view["Content-Type"]
    assert fetch(server.address, "/metrics").json().keys() == view_keys("/metrics/")
    assert fetch(server.address, "/metrics?format=html", headers=KNOWN).headers["Content-Type"].startswith("text/plain")


def view_keys(path: str) -> Any:
    return Client().get(path).json().keys()


def test_answer_varies_on_what_it_depends_on(server: ProbeServer) -> None:
    assert fetch(server.address, "/alive").headers["Vary"] == "Accept"
    assert fetch(server.address, "/health").headers["Vary"] == "Accept, Authorization"
