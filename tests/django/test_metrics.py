"""`/metrics/`: for those who may see details, in the format they request, and without a run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from django_lifesigns.runtime.engine import get_engine

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-for-those-who-know"
KNOWN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def runs(settings: Any) -> list[int]:
    """Grows with each run of the check `mine`."""
    runs: list[int] = []
    busy = ["cpu_load", "memory_usage", "disk_space"]
    settings.LIFESIGNS = {"TOKENS": [TOKEN], "CHECKS": {"mine": lambda: runs.append(1)}, "DISABLED": busy}
    return runs


def test_metrics__what_is_known_and_nothing_run(runs: list[int]) -> None:
    before = Client().get("/metrics/", headers=KNOWN)
    assert (before.status_code, before["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert before["Cache-Control"] == "no-store"
    assert 'health_check_status{check_name="mine"' not in before.content.decode()
    assert 'health_check_stale{check_name="mine"} 1' in before.content.decode()
    assert runs == []
    get_engine().check("mine")
    for _ in range(3):
        after = Client().get("/metrics/", headers=KNOWN).content.decode()
    assert 'health_check_status{check_name="mine",status="healthy"} 1' in after
    assert 'health_check_runs_total{check_name="mine",status="healthy"} 1' in after
    assert runs == [1]


def test_metrics__openmetrics_where_it_is_requested() -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    response = Client().get("/metrics/", headers={**KNOWN, "accept": accept})
    assert response["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.content.endswith(b"# EOF\n")
    assert asyncio.run(AsyncClient().get("/metrics/", headers=KNOWN)).status_code == 200


@pytest.mark.parametrize(
    ("lifesigns", "code"),
    [
        ({}, 401),
        ({"SHOW_DETAILS": "always"}, 200),
        ({"NETWORKS": ["127.0.0.1"]}, 200),
        ({"NETWORKS": ["127.0.0.1"], "SHOW_DETAILS": "never"}, 401),
    ],
)
def test_metrics__who_sees_them(settings: Any, lifesigns: Any, code: int) -> None:
    settings.LIFESIGNS = {**settings.LIFESIGNS, **lifesigns}
    response = Client().get("/metrics/")
    assert response.status_code == code
    if code == 401:
        assert response.json() == {
            "status": "unauthorized",
            "message": "Metrics require a bearer token, an allowed network or a staff session",
        }


@pytest.mark.parametrize(("is_staff", "code"), [(True, 200), (False, 401)])
def test_metrics__by_session(is_staff: bool, code: int) -> None:
    client = Client()
    client.force_login(User.objects.create_user("someone", is_staff=is_staff))
    assert client.get("/metrics/").status_code == code


def test_metrics__get_and_head_only() -> None:
    assert Client().post("/metrics/", headers=KNOWN).status_code == 405
    head = Client().head("/metrics/", headers=KNOWN)
    assert (head.status_code, head.content) == (200, b"")
