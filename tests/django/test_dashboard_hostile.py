"""The dashboard and what nobody meant: ten thousand incidents, odd parameters, odd rows, texts that are markup."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_lifesigns.alerts.tables import Incident
from django_lifesigns.dashboard.reading import MOST_INCIDENTS, OF_CHECK
from django_lifesigns.models import HealthCheckLog, Rollup
from django_lifesigns.runtime.engine import get_engine, get_runtime
from django_lifesigns.targets.catalogue import CATALOGUE

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-of-some-length"
URL = "/health/dashboard/"
HOSTILE = "</title><script>alert(1)</script>\x00\u202e{{ 7|add:7 }}"


@pytest.fixture(autouse=True)
def lifesigns(settings: Any) -> None:
    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "CHECKS": {"mine": lambda: {"status": "error", "message": HOSTILE}, "..": lambda: True},
        "DISABLED": list(CATALOGUE),
        "ALERTS": {"CHANNELS": {}},
        "OBJECTIVES": {"*": {"target": 99.9}},
    }


@pytest.fixture
def known() -> Client:
    return Client(headers={"authorization": f"Bearer {TOKEN}"})


def incidents(count: int, **more: Any) -> None:
    now, application = timezone.now(), get_runtime().alerts_as
    common = {"application": application, "check_name": "mine", "state": "firing", "severity": "critical"}
    common |= {"message": HOSTILE.replace("\x00", ""), "instance": "far", **more}
    Incident.objects.bulk_create(
        (Incident(id=f"{number}", since=now - timedelta(seconds=number), **common) for number in range(count)),
        batch_size=1_000,
    )


def test_ten_thousand_incidents__the_latest_are_shown(known: Client) -> None:
    incidents(10_000)
    get_engine().run()
    started = time.process_time()
    with CaptureQueriesContext(connection) as captured:
        page = known.get(URL)
    # Of this process alone, whatever else the machine does: some 50 ms.
    assert time.process_time() - started < 5
    assert len(captured) <= 8
    found = known.get(URL, {"format": "json"}).json()
    assert len(found["incidents"]) == MOST_INCIDENTS
    assert found["incidents"][0]["id"] == "0"
    assert len(page.content) < 100_000
    own = known.get(f"{URL}mine/", {"format": "json"}).json()
    assert len(own["incidents"]) == OF_CHECK


@pytest.mark.parametrize("url", [URL, f"{URL}mine/"])
def test_texts__are_text(known: Client, url: str) -> None:
    incidents(1, acknowledged_by="<b>ann</b>")
    get_engine().run()
    text = known.get(url).content.decode()
    assert "<script>alert" not in text
    assert "<b>ann" not in text
    assert "{{ 7|add:7 }}" in text


@pytest.mark.parametrize("url", [URL, f"{URL}mine/"])
@pytest.mark.parametrize(
    "query",
    [
        "format=xml",
        "format=",
        "format=json&format=html",
        "done=__proto__",
        "done=run&check=%3Cscript%3Ealert(1)%3C/script%3E",
        "check=%00",
        "check=" + "x" * 5_000,
        "%ff=%fe",
        "&&&=",
        "page=-1&days=999999999999999999999",
    ],
)
def test_parameters__that_make_no_sense_break_nothing(known: Client, url: str, query: str) -> None:
    response = known.get(f"{url}?{query}")
    assert response.status_code == 200
    assert b"<script>alert" not in response.content


@pytest.mark.parametrize(
    "path", ["%3Cscript%3E/", "..%2f..%2f/", "%00/", "%ff%fe/", "x" * 3_000 + "/", "mine%0d%0aX:%20y/"]
)
def test_path__of_no_check_is_none(known: Client, path: str) -> None:
    for accept in ("text/html", "application/json", "*/*"):
        response = known.get(f"{URL}{path}", headers={"accept": accept})
        assert response.status_code == 404
        assert response["Content-Type"].startswith("application/json") or b"<script>" not in response.content
        assert "X" not in response.headers


def test_rows_that_no_process_of_ours_wrote__are_shown_as_they_can_be(known: Client) -> None:
    """Days with more seconds than a day has, or fewer than none; results from the future, and of no status."""
    now = time.time()
    day = int(now) // 86_400 * 86_400
    odd = [
        {"error": 1e12, "healthy": 1e12, "covered": 1.0},
        {"healthy": -5.0, "error": -1.0, "covered": -7.0},
        {"error": 10.0, "healthy": 10.0},
        {"healthy": 86_400.0, "covered": 1e15},
    ]
    for number, figures in enumerate(odd):
        for period in ("day", "hour", "minute"):
            start = day - number * 86_400
            Rollup.objects.create(check_name="mine", period=period, start=start, until=now + 1e6, **figures)
    for status in ("error", "", "nonsense", "healthy"):
        for at in (timezone.now() - timedelta(hours=1), timezone.now() + timedelta(days=400)):
            HealthCheckLog.objects.create(check_name="mine", status=status, duration_ms=-1, checked_at=at, message="x")
    get_engine().run()
    for url in (URL, f"{URL}mine/"):
        assert known.get(url).status_code == 200
        assert known.get(url, {"format": "json"}).json()["history_error"] is None


def test_user_without_permissions__sees_and_changes_nothing() -> None:
    client = Client()
    client.force_login(User.objects.create_user("ann", is_staff=True))
    assert b"<form" not in client.get(f"{URL}mine/").content
    for action in ("run", "silence", "acknowledge", "breaker-reset", "", "nonsense"):
        assert client.post(f"{URL}mine/", {"action": action}).status_code == 403
