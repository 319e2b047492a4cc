"""The probes, each one function: what runs, and with which status code it answers.

They are `def`, not `async def`. Under ASGI Django gives a `def` view a thread of its own request, so nothing blocks the
event loop; that costs about 0.1 ms of 1.4. Under WSGI an `async def` view would get an event loop and a thread for
each request: 0.55 ms instead of 0.05 (measured), and be refused where a database has ATOMIC_REQUESTS.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from django.http import HttpRequest, JsonResponse

from django_lifesigns.conf import Conf
from django_lifesigns.engine import current
from django_lifesigns.startup import get_startup
from lifesigns import UnknownCheckError, draining

# The engine ends a sweep at most this long after its deadline.
ENGINE_GRACE = 0.05

_imported = time.monotonic()


def liveness_check(request: HttpRequest) -> JsonResponse:
    """`/alive/`: the process serves requests. Asks nothing else, since a restart mends no dependency."""
    uptime = round(time.monotonic() - _imported, 3)
    body = {"status": "alive", "timestamp": _now(), "uptime_seconds": uptime, "message": "Service is alive"}
    return _answer(body)


def readiness_check(request: HttpRequest) -> JsonResponse:
    """`/ready/`: the critical checks, none older than `READY_MAX_AGE`, within `READY_BUDGET`; no more once draining."""
    if draining():
        return _answer({"status": "draining", "timestamp": _now(), "message": "Service is shutting down"}, 503)
    began = time.monotonic()
    built = current()
    deadline = _deadline(built.conf, began)
    report = built.engine.run(critical_only=True, deadline=deadline, max_age=built.conf.ready_max_age)
    if report["status"] != "unhealthy":
        return _answer({"status": "ready", "timestamp": _now(), "message": "Service is ready"})
    failing = {name: result for name, result in report["checks"].items() if result["status"] == "error"}
    message = f"Critical checks failing: {', '.join(failing)}"
    return _answer({"status": "not_ready", "timestamp": _now(), "message": message, "details": failing}, 503)


def startup_check(request: HttpRequest) -> JsonResponse:
    """`/startup/`: migrations are applied and the critical checks have passed once, within `READY_BUDGET`."""
    began = time.monotonic()
    built = current()
    started, checks = get_startup().check(built.engine, _deadline(built.conf, began))
    body = {
        "status": "started" if started else "starting",
        "timestamp": _now(),
        "message": "Service has started" if started else "Service is starting",
        "checks": checks,
    }
    return _answer(body, 200 if started else 503)


def health_check(request: HttpRequest) -> JsonResponse:
    """`/health/`: all checks. Writes nothing."""
    report = current().engine.run()
    return _answer(report, 503 if report["status"] == "unhealthy" else 200)


def single_check(request: HttpRequest, check: str) -> JsonResponse:
    """`/health/<check>/`: one check."""
    engine = current().engine
    try:
        result = engine.check(check)
    except UnknownCheckError:
        return _answer({"status": "unknown", "message": f"Unknown check {check!r}", "known": engine.names}, 404)
    return _answer(result, 503 if result["status"] == "error" else 200)


def _deadline(conf: Conf, began: float) -> float:
    # The first request of a process builds the engine, out of the same budget.
    return max(0.0, conf.ready_budget - ENGINE_GRACE - (time.monotonic() - began))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


def _answer(body: Mapping[str, Any], status: int = 200) -> JsonResponse:
    # A cached answer, whoever keeps it, is about the past.
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
