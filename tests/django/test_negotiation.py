"""The same answer as JSON, as the IETF draft's JSON, as text and as a page."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils.translation import gettext_lazy, override

from django_lifesigns.http.negotiation import preferred
from django_lifesigns.http.renderers import FORMATS, HINT, answer

OFFERED = ["application/json", "application/health+json", "text/plain", "text/html"]
VARY = {
    "alive": "Accept",
    "ready": "Accept, Authorization",
    "startup": "Accept, Authorization",
    "health": "Accept, Authorization, Cookie",
}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        (" , ,", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/health+json", "application/health+json"),
        ("APPLICATION/Health+JSON", "application/health+json"),
        ("text/plain", "text/plain"),
        ("text/html", "text/html"),
        ("text/*", "text/plain"),
        ("application/*", "application/json"),
        (BROWSER, "text/html"),
        ("text/html;q=0.5, text/plain;q=0.6", "text/plain"),
        ("text/html;q=0, */*", "application/json"),
        ("text/*;q=0.9, text/plain;q=0.1", "text/html"),
        # Nothing that we have: the status code is the answer, so something is better than a 406.
        ("image/png", "application/json"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", "application/json"),
    ],
)
def test_preferred__table(accept: str | None, chosen: str) -> None:
    headers = {} if accept is None else {"accept": accept}
    assert preferred(RequestFactory().get("/", headers=headers), OFFERED, FORMATS) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        # That of Java's HttpURLConnection, which prefers a page.
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/html"),
        ("*", "application/json"),
        ("*; q=.2", "application/json"),
        ("text/html;", "text/html"),
        ("text/plain; q", "text/plain"),
        ("text/html;q=much", "text/html"),
        ("json", "application/json"),
        ("text/", "application/json"),
        ("/", "application/json"),
        (";", "application/json"),
        (";q=1", "application/json"),
        ("text/html a", "application/json"),
        ("\x00", "application/json"),
        ("é/é", "application/json"),
        ("<script>", "application/json"),
        ("text/html;" + "a=b;" * 900, "application/json"),
        ("a/b," * 2_000 + "text/html", "application/json"),
    ],
)
def test_preferred__header_that_is_foreign_or_malformed(accept: str, chosen: str) -> None:
    assert preferred(RequestFactory().get("/", headers={"accept": accept}), OFFERED, FORMATS) == chosen


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("format=json", "application/json"),
        ("format=text", "text/plain"),
        ("format=html", "text/html"),
        ("format=yaml", "application/health+json"),
        ("format=", "application/health+json"),
        ("&".join(["format=html"] * 5_000), "application/health+json"),
    ],
)
def test_format__before_accept(query: str, chosen: str) -> None:
    request = RequestFactory().get(f"/?{query}", headers={"accept": "application/health+json"})
    assert preferred(request, OFFERED, FORMATS) == chosen


def test_preferred__hostile_header_takes_no_time() -> None:
    started = time.monotonic()
    for accept in ("a/b;" + " " * 4000, "a/b" + ";a=b" * 1000 + ";", 'a/b;a="' * 500, "a/b," * 1000):
        preferred(RequestFactory().get("/", headers={"accept": accept}), OFFERED, FORMATS)
    assert time.monotonic() - started < 5


def failing() -> dict[str, object]:
    """A check with a message that is no markup."""
    return {"status": "error", "message": "it is <b>broken</b>\nand more", "details": {"part": 7}}


@pytest.fixture(autouse=True)
def own_check(settings: Any) -> None:
    without_host = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
    mine = {"mine": {"check": failing, "critical": False}}
    settings.LIFESIGNS = {"SHOW_DETAILS": "always", "CHECKS": mine, **without_host}


def get(path: str, accept: str) -> Any:
    response = Client().get(path, headers={"accept": accept})
    assert response["Content-Type"].partition(";")[0] == accept
    assert response["Cache-Control"] == "no-store"
    assert response["Vary"] == VARY[path.split("/")[1]]
    return response


pytestmark = pytest.mark.django_db(transaction=True)


def test_health_json__report() -> None:
    body = get("/health/", "application/health+json").json()
    assert body["status"] == "warn"
    assert body["output"] == "Service operational with reduced functionality"
    [mine] = body["checks"]["mine"]
    assert mine.pop("time").endswith("Z")
    assert mine.pop("observedValue") >= 0
    assert mine == {"status": "fail", "observedUnit": "ms", "output": "it is <b>broken</b>\nand more"}
    [cache] = body["checks"]["default_cache"]
    assert cache["status"] == "pass"
    assert "output" not in cache
    assert "mqtt_broker" not in body["checks"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/alive/", "pass"),
        ("/ready/", "pass"),
        ("/startup/", "pass"),
        ("/health/mine/", "fail"),
        ("/health/x/", "fail"),
    ],
)
def test_health_json__others(path: str, status: str) -> None:
    assert get(path, "application/health+json").json()["status"] == status


def test_text__a_line_for_each_check() -> None:
    lines = get("/health/", "text/plain").content.decode().splitlines()
    assert lines[0] == "degraded Service operational with reduced functionality"
    assert len(lines) == 21
    assert "mine: error it is <b>broken</b> and more" in lines


@pytest.mark.parametrize(
    ("path", "text"), [("/alive/", "alive Service is alive"), ("/health/mine/", "error it is <b>broken</b> and more")]
)
def test_text__others(path: str, text: str) -> None:
    assert get(path, "text/plain").content.decode() == f"{text}\n"


def test_html__is_a_page_and_no_markup_of_others() -> None:
    page = get("/health/", "text/html").content.decode()
    assert page.startswith("<!doctype html>")
    assert page.count('<li class="check ') == 20
    assert "it is &lt;b&gt;broken&lt;/b&gt;" in page
    assert "<b>broken" not in page
    assert '<th scope="row">Part</th><td>7</td>' in get("/health/mine/", "text/html").content.decode()


def test_html__brings_its_policy_and_nothing_that_it_forbids() -> None:
    response = get("/health/", "text/html")
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert re.findall(r"<style|\sstyle=|<script(?![^>]* src=)|\son\w+=|https?://", response.content.decode()) == []


def test_html__in_the_language_of_the_project(settings: Any) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    # That of an earlier request on this thread does not count.
    with override("fr"):
        page = get("/health/", "text/html").content.decode()
    assert '<html lang="de" dir="ltr">' in page
    durations = re.findall(r" · ([\d.,]+) m?s", page)
    assert durations
    assert all(float(duration) >= 0 for duration in durations)


def test_html__of_everybody(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "SHOW_DETAILS": "authorized"}
    page = get("/health/", "text/html").content.decode()
    assert "mine" in page
    assert "broken" not in page
    assert f'<p class="note">{HINT}</p>' in page


def test_hint__in_each_format_but_lines(settings: Any) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, "SHOW_DETAILS": "authorized"}
    for path in ("/health/", "/health/detailed/", "/health/mine/"):
        assert get(path, "application/json").json()["hint"] == HINT
        assert get(path, "application/health+json").json()["notes"] == [HINT]
        assert HINT not in get(path, "text/plain").content.decode()
    assert "hint" not in get("/alive/", "application/json").json()
    settings.LIFESIGNS = {**settings.LIFESIGNS, "SHOW_DETAILS": "never"}
    assert "hint" not in get("/health/", "application/json").json()


@pytest.mark.parametrize(
    ("path", "code"),
    [("/alive/", 200), ("/ready/", 200), ("/startup/", 200), ("/health/", 200), ("/health/mine/", 503)],
)
@pytest.mark.parametrize("accept", ["<script>", "*", ";", "text/html;q", "a/b," * 2_000])
def test_malformed__is_answered(path: str, code: int, accept: str) -> None:
    assert Client().get(path, headers={"accept": accept}).status_code == code


def test_format__of_a_probe() -> None:
    assert Client().get("/health/?format=text").content.startswith(b"degraded ")
    assert Client().get("/alive/?format=html", headers={"accept": "text/plain"}).content.startswith(b"<!doctype")
    assert Client().get("/ready/?format=json", headers={"accept": "text/html"}).json()["status"] == "ready"


def test_json__of_values_that_only_django_can_write(settings: Any) -> None:
    at = datetime(2026, 1, 2, tzinfo=timezone.utc)
    details = {"amount": Decimal("1.5"), "at": at, "text": gettext_lazy("Check")}
    for accept in ("application/json", "application/health+json", "text/html"):
        request = RequestFactory().get("/", headers={"accept": accept})
        content = answer(request, {"status": "healthy", "details": details}).content.decode()
        assert "2026-01-02" in content or accept == "application/health+json"


@pytest.mark.parametrize("accept", ["text/html", "text/plain", "application/health+json"])
def test_head__as_get(accept: str) -> None:
    response = Client().head("/health/mine/", headers={"accept": accept})
    assert (response.status_code, response.content) == (503, b"")
    assert response["Content-Type"].startswith(accept)


@pytest.mark.parametrize(
    "path", ["/health/" + "x" * 1_000_000 + "/", "/health/%00/", "/health/%ff%fe/", "/health/..%2f/", "/health/'\"/"]
)
def test_unknown_check__odd_names(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 404
    assert len(response.content) < 5_000


def test_query__absurd() -> None:
    assert Client().get("/health/mine/?" + "x" * 1_000_000).status_code == 503
    assert Client().get("/ready/?" + "&".join(["refresh=1"] * 5_000)).status_code == 200
    # More than Django reads: none of it counts.
    assert Client().get("/health/mine/?" + "&".join(["refresh=1"] * 5_000)).status_code == 503
    assert Client().get("/health/mine/?%ff=%ff&refresh=%00").status_code == 403


def test_failing_probe__is_not_logged_by_django(caplog: pytest.LogCaptureFixture) -> None:
    assert Client().get("/health/mine/").status_code == 503
    assert [record for record in caplog.records if record.name == "django.request"] == []
