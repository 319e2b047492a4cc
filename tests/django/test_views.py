"""The probes over HTTP: codes, bodies and headers, under WSGI and ASGI."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client

from django_lifesigns import views
from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.projects import WITHOUT_LOAD, run_json, sqlite

pytestmark = pytest.mark.django_db(transaction=True)

PROBES = ["/alive/", "/ready/", "/startup/", "/health/", "/health/default_cache/"]


def failing() -> dict[str, object]:
    """A check of one's own."""
    return {"status": "error", "message": "it is broken", "details": {"part": 7}}


# Who sees what is tested in test_access.
SHOWN = {"SHOW_DETAILS": "always"}
FAILING = {**SHOWN, "CHECKS": {"mine": failing}}
FAILING_INFORMATIVE = {**SHOWN, "CHECKS": {"mine": {"check": failing, "critical": False}}}


@pytest.fixture(params=["wsgi", "asgi"])
def get(request: pytest.FixtureRequest) -> Any:
    """A function that requests a path as a client of that kind of server."""
    if request.param == "wsgi":
        return Client().get
    return lambda path, **extra: asyncio.run(AsyncClient().get(path, **extra))


@pytest.mark.parametrize("path", PROBES)
def test_probe__healthy_project(get: Any, path: str) -> None:
    response = get(path)
    assert response.status_code == 200, response.content
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", PROBES)
def test_probe__head(path: str) -> None:
    response = Client().head(path)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_probe__other_methods(path: str, method: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)(path)
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


def test_alive__body(get: Any) -> None:
    body = get("/alive/").json()
    assert body["status"] == "alive"
    assert body["uptime_seconds"] >= 0
    assert body["timestamp"].endswith("Z")
    assert body["message"]


def test_alive__uptime_counts_from_the_start_of_the_process(tmp_path: Path) -> None:
    program = """
import json, os, time
time.sleep(0.3)
from django.test import Client
def uptime():
    return Client(headers={"host": "localhost"}).get("/alive/").json()["uptime_seconds"]
before = uptime()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, str(uptime()).encode())
    os._exit(0)
child = float(os.read(reading, 100))
os.wait()
after = uptime()
report = Client(headers={"host": "localhost"}).get("/health/").json()["uptime_seconds"]
print(json.dumps([before, child, after, report, uptime()]))
"""
    before, child, after, report, last = run_json(tmp_path, {"DATABASES": sqlite(tmp_path)}, program)
    assert 0.3 <= before < after
    assert child < after - before + 0.01
    # One number, whichever view shows it.
    assert before <= after <= report <= last


def test_alive__runs_nothing(get: Any, settings: Any) -> None:
    settings.LIFESIGNS = FAILING
    assert get("/alive/").status_code == 200


def test_ready__body(get: Any) -> None:
    body = get("/ready/").json()
    assert body.keys() == {"status", "timestamp", "message"}
    assert body["status"] == "ready"


def test_ready__critical_check_fails(get: Any, settings: Any) -> None:
    settings.LIFESIGNS = FAILING
    response = get("/ready/")
    body = response.json()
    assert response.status_code == 503
    assert response["Cache-Control"] == "no-store"
    assert body["status"] == "not_ready"
    assert body["details"].keys() == {"mine"}
    assert body["details"]["mine"]["message"] == "it is broken"


def test_ready__other_check_fails(get: Any, settings: Any) -> None:
    settings.LIFESIGNS = FAILING_INFORMATIVE
    assert get("/ready/").status_code == 200


def test_ready__draining(get: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "draining", lambda: True)
    response = get("/ready/")
    assert (response.status_code, response.json()["status"]) == (503, "draining")
    assert get("/alive/").status_code == 200


def test_health__report(get: Any, settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": WITHOUT_LOAD, **SHOWN}
    body = get("/health/").json()
    assert body["status"] == "healthy"
    assert list(body["checks"]) == list(CATALOGUE)
    assert body["summary"]["total_checks"] == 22
    assert body["summary"]["errors"] == 0
    assert body["checks"]["database_connectivity"]["status"] == "healthy"
    assert body["checks"]["mqtt_broker"]["message"] == "set MQTT_CONFIG to check an MQTT broker"


@pytest.mark.parametrize(
    ("lifesigns", "status", "code"), [(FAILING, "unhealthy", 503), (FAILING_INFORMATIVE, "degraded", 200)]
)
def test_health__status(get: Any, settings: Any, lifesigns: Any, status: str, code: int) -> None:
    settings.LIFESIGNS = lifesigns
    response = get("/health/")
    assert (response.status_code, response.json()["status"]) == (code, status)


def test_single__one_result(get: Any, settings: Any) -> None:
    settings.LIFESIGNS = SHOWN
    body = get("/health/default_cache/").json()
    assert body["status"] == "healthy"
    assert body["details"]["read_write_test"] == "passed"


def test_single__error(get: Any, settings: Any) -> None:
    settings.LIFESIGNS = FAILING_INFORMATIVE
    response = get("/health/mine/")
    assert response.status_code == 503
    assert response.json()["details"] == {"part": 7}


def test_single__unknown(get: Any) -> None:
    response = get("/health/defualt_cache/")
    assert response.status_code == 404
    body = response.json()
    assert body["message"] == "Unknown check 'defualt_cache'. Did you mean 'default_cache'?"
    assert "default_cache" in body["known"]
    assert response["Cache-Control"] == "no-store"


def test_probe__atomic_requests_open_no_transaction(get: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connections, transaction

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a probe must not depend on a transaction")

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(transaction, "atomic", refuse)
    assert get("/alive/").status_code == 200
