"""`lifesigns.asgi`: the answers of its probes, who sees what, and that the event loop is free meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import lifesigns

ROOT = Path(__file__).resolve().parents[2]
TOKEN = {"Authorization": "Bearer s3cret"}


@pytest.fixture
def engine() -> lifesigns.Engine:
    engine = lifesigns.Engine()
    engine.register("database", lambda: {"status": "healthy", "message": "Connected"})
    engine.register("mail", lambda: {"status": "error", "message": "no relay"}, critical=False)
    return engine


async def get(app: Any, path: str, *, peer: str = "192.0.2.1", method: str = "GET", **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(peer, 1), root_path=options.pop("root_path", ""))
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        return await client.request(method, path, **options)


def fetch(app: Any, path: str, **options: Any) -> httpx.Response:
    return asyncio.run(get(app, path, **options))


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("/alive", 200, "alive"),
        ("/alive/", 200, "alive"),
        ("/ready", 200, "ready"),
        ("/startup/", 200, "started"),
        ("/health", 200, "degraded"),
        ("/health/database", 200, "healthy"),
        ("/health/mail/", 503, "error"),
        ("/health/nothing", 404, "unknown"),
    ],
)
def test_probe_answers_with_code_and_status(engine: lifesigns.Engine, path: str, code: int, status: str) -> None:
    response = fetch(lifesigns.asgi(engine), path)
    assert (response.status_code, response.json()["status"]) == (code, status)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"


def test_probe_is_found_below_a_mount(engine: lifesigns.Engine) -> None:
    assert fetch(lifesigns.asgi(engine), "/probes/alive", root_path="/probes").status_code == 200


@pytest.mark.parametrize("path", ["/", "/health//", "/health/a/b", "/alivex", "/alive//"])
def test_other_path_is_not_found(engine: lifesigns.Engine, path: str) -> None:
    assert fetch(lifesigns.asgi(engine), path).status_code == 404


def test_head_has_no_body_and_post_is_refused(engine: lifesigns.Engine) -> None:
    head = fetch(lifesigns.asgi(engine), "/health", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    post = fetch(lifesigns.asgi(engine), "/health", method="POST")
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("options", "headers", "peer", "is_shown"),
    [
        ({}, {}, "127.0.0.1", False),
        ({"tokens": ["s3cret"]}, {}, "127.0.0.1", False),
        ({"tokens": ["other", "s3cret"]}, TOKEN, "192.0.2.1", True),
        ({"tokens": ["s3cret"]}, {"Authorization": "bearer  s3cret "}, "192.0.2.1", True),
        ({"tokens": ["s3cret"]}, {"Authorization": "Basic s3cret"}, "192.0.2.1", False),
        ({"tokens": ["s3cret"]}, {"Authorization": "Bearer s3cre"}, "192.0.2.1", False),
        ({"networks": ["10.0.0.0/8"]}, {}, "10.1.2.3", True),
        ({"networks": ["10.0.0.0/8"]}, {}, "::ffff:10.1.2.3", True),
        ({"networks": ["10.0.0.0/8"]}, {}, "192.0.2.1", False),
        ({"show_details": "always"}, {}, "192.0.2.1", True),
        ({"show_details": "never", "tokens": ["s3cret"]}, TOKEN, "192.0.2.1", False),
    ],
)
def test_details_are_shown_to_authorized_callers(
    engine: lifesigns.Engine, options: dict[str, Any], headers: dict[str, str], peer: str, is_shown: bool
) -> None:
    app = lifesigns.asgi(engine, **options)
    found = fetch(app, "/health", headers=headers, peer=peer).json()["checks"]["mail"]
    assert ("message" in found) is is_shown
    assert ("message" in fetch(app, "/health/mail", headers=headers, peer=peer).json()) is is_shown
    metrics = fetch(app, "/metrics", headers=headers, peer=peer)
    assert metrics.status_code == (200 if is_shown else 401)
    assert ("health_check_status" in metrics.text) is is_shown
    assert is_shown or metrics.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tokens": "s3cret"}, "tokens"),
        ({"tokens": [""]}, "token"),
        ({"networks": ["10.0.0.0/99"]}, "10.0.0.0/99"),
        ({"show_details": "sometimes"}, "show_details"),
        ({"ready_budget": 0}, "ready_budget"),
    ],
)
def test_wrong_option_is_a_value_error(engine: lifesigns.Engine, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        lifesigns.asgi(engine, **options)


def test_engine_without_checks_is_not_ready() -> None:
    engine = lifesigns.Engine()
    response = fetch(lifesigns.asgi(engine), "/ready")
    assert (response.status_code, response.json()["message"]) == (503, "No checks are registered")
    engine.register("optional", lambda: False, critical=False)
    assert fetch(lifesigns.asgi(engine), "/ready").status_code == 200


def test_failing_critical_check_is_not_ready_and_named() -> None:
    engine = lifesigns.Engine()
    engine.register("database", lambda: {"status": "error", "message": "no route"})
    response = fetch(lifesigns.asgi(engine, show_details="always"), "/ready")
    assert response.status_code == 503
    body = response.json()
    assert body["status"] == "not_ready"
    assert body["details"]["database"]["message"] == "no route"
    assert fetch(lifesigns.asgi(engine), "/startup").status_code == 503


def test_hanging_check_costs_the_budget_and_holds_up_no_other_request() -> None:
    engine, started_running, release = lifesigns.Engine(), threading.Event(), threading.Event()

    def hang() -> None:
        started_running.set()
        release.wait(10)

    engine.register("hangs", hang, timeout=5)
    app = lifesigns.asgi(engine, ready_budget=0.6)

    async def both() -> tuple[float, float]:
        started = time.monotonic()
        waiting = [asyncio.create_task(get(app, path)) for path in ("/ready", "/health", "/startup")]
        while not started_running.is_set():
            await asyncio.sleep(0.005)
        assert (await get(app, "/alive")).status_code == 200
        alive = time.monotonic() - started
        assert [task.status_code for task in await asyncio.gather(*waiting)] == [503, 503, 503]
        return alive, time.monotonic() - started

    alive, all_of_them = asyncio.run(both())
    release.set()
    assert alive < 0.4
    assert all_of_them < 1.5


LIFESPAN = """
import asyncio
import lifesigns
from tests.unit.test_asgi import fetch

app = lifesigns.asgi(lifesigns.Engine())
sent = []
messages = iter(["lifespan.startup", "lifespan.shutdown"])

async def receive():
    return {"type": next(messages)}

async def send(message):
    sent.append(message["type"])

asyncio.run(app({"type": "lifespan"}, receive, send))
assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"], sent
assert fetch(app, "/ready").json()["status"] == "draining"
"""


def test_lifespan_drains_at_its_end() -> None:
    """In a process of its own, which drains for good."""
    done = subprocess.run([sys.executable, "-c", LIFESPAN], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
