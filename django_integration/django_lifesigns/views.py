"""The probes, each one function: what runs, and with which status code it answers.

They are `def`, not `async def`. Under ASGI Django gives a `def` view a thread of its own request, so nothing blocks the
event loop; that costs about 0.1 ms of 1.4. Under WSGI an `async def` view would get an event loop and a thread for
each request: 0.55 ms instead of 0.05 (measured), and be refused where a database has ATOMIC_REQUESTS.

What is shown to whom is decided in `access`, what is left out in `visibility`, and how it is written in `renderers`.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from django.http import HttpRequest, HttpResponse

from django_lifesigns.history import recent as history
from django_lifesigns.history.recorder import record
from django_lifesigns.http.access import is_authorized, sees_details
from django_lifesigns.http.redact_report import statuses_only
from django_lifesigns.http.renderers import NOT_KEPT, answer, answer_sweep
from django_lifesigns.http.system_info import system_info
from django_lifesigns.runtime.engine import on_request
from django_lifesigns.runtime.startup import get_startup
from django_lifesigns.settings.conf import Conf
from lifesigns import draining, metrics_format
from lifesigns import metrics as exposition

# The engine ends a sweep at most this long after its deadline.
ENGINE_GRACE = 0.05

_imported = time.monotonic()


def liveness_check(request: HttpRequest) -> HttpResponse:
    """`/alive/`: the process serves requests. Asks nothing else, since a restart mends no dependency."""
    uptime = round(time.monotonic() - _imported, 3)
    body = {"status": "alive", "timestamp": _now(), "uptime_seconds": uptime, "message": "Service is alive"}
    return answer(request, body)


def readiness_check(request: HttpRequest) -> HttpResponse:
    """`/ready/`: the critical checks, none older than `READY_MAX_AGE`, within `READY_BUDGET`; no more once draining."""
    if draining():
        return answer(request, {"status": "draining", "timestamp": _now(), "message": "Service is shutting down"}, 503)
    began = time.monotonic()
    runtime = on_request()
    deadline = _deadline(runtime.conf, began)
    sweep = runtime.engine.sweep(critical_only=True, deadline=deadline, max_age=runtime.conf.ready_max_age)
    if sweep.status != "unhealthy":
        return answer(request, {"status": "ready", "timestamp": _now(), "message": "Service is ready"})
    failing = {name: result for name, result in sweep.report()["checks"].items() if result["status"] == "error"}
    message = f"Critical checks failing: {', '.join(failing)}"
    body = {"status": "not_ready", "timestamp": _now(), "message": message, "details": failing}
    return answer(request, _for_probe(request, runtime.conf, body, "details"), 503, results="details")


def startup_check(request: HttpRequest) -> HttpResponse:
    """`/startup/`: migrations are applied and the critical checks have passed once, within `READY_BUDGET`."""
    began = time.monotonic()
    runtime = on_request()
    started, checks = get_startup().check(runtime.engine, _deadline(runtime.conf, began))
    body = {
        "status": "started" if started else "starting",
        "timestamp": _now(),
        "message": "Service has started" if started else "Service is starting",
        "checks": checks,
    }
    return answer(request, _for_probe(request, runtime.conf, body, "checks"), 200 if started else 503)


def health_check(request: HttpRequest) -> HttpResponse:
    """`/health/`: all checks. Writes nothing."""
    runtime = on_request()
    refresh = _wants_refresh(request)
    if refresh and not is_authorized(request, runtime.conf, runtime):
        return _refuse_refresh(request)
    sweep = runtime.engine.sweep(refresh=refresh)
    return answer_sweep(request, sweep, sees_details(request, runtime.conf, runtime))


def detailed_health_check(request: HttpRequest) -> HttpResponse:
    """`/health/detailed/`: all checks, recorded, with what is known beside them."""
    runtime = on_request()
    refresh = _wants_refresh(request)
    if refresh and not is_authorized(request, runtime.conf, runtime):
        return _refuse_refresh(request)
    report: Any = runtime.engine.run(refresh=refresh)
    record(report, runtime.engine)
    if not sees_details(request, runtime.conf, runtime):
        return answer(request, statuses_only(report))
    database = report["checks"].get(runtime.names.get("database_connectivity"), {})
    availability, hours = history.read() or (None, None)
    more = {"system_info": system_info(database), "service_availability": availability, "history": hours}
    return answer(request, {**report, **more})


def single_check(request: HttpRequest, check: str) -> HttpResponse:
    """`/health/<check>/`: one check."""
    runtime = on_request()
    if check not in runtime.engine.names:
        body = {"status": "unknown", "message": f"Unknown check {check[:100]!r}", "known": runtime.engine.names}
        return answer(request, body, 404)
    refresh = _wants_refresh(request)
    if refresh and not is_authorized(request, runtime.conf, runtime):
        return _refuse_refresh(request)
    result: Any = runtime.engine.check(check, refresh=refresh)
    if not sees_details(request, runtime.conf, runtime):
        result = statuses_only(result, results=None)
    return answer(request, result, 503 if result["status"] == "error" else 200, results=None)


def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics/`: what is known of the checks, as Prometheus or OpenMetrics text. Runs none of them."""
    runtime = on_request()
    if not sees_details(request, runtime.conf, runtime):
        message = "Metrics take a token, a network or a session"
        return answer(request, {"status": "unauthorized", "message": message}, 401)
    openmetrics, content_type = metrics_format(request.META.get("HTTP_ACCEPT", ""))
    return HttpResponse(exposition(runtime.engine, openmetrics), content_type=content_type, headers=NOT_KEPT)


def _for_probe(request: HttpRequest, conf: Conf, body: dict[str, Any], results: str) -> dict[str, Any]:
    # Sessions are not asked for: that takes the database, and these answers have a budget.
    return body if sees_details(request, conf) else statuses_only(body, results)


def _wants_refresh(request: HttpRequest) -> bool:
    return request.GET.get("refresh", "0") not in ("0", "false")


def _refuse_refresh(request: HttpRequest) -> HttpResponse:
    # Whatever SHOW_DETAILS says: a refresh is load on what is checked.
    return answer(request, {"status": "forbidden", "message": "A refresh takes a token, a network or a session"}, 403)


def _deadline(conf: Conf, began: float) -> float:
    # The first request of a process builds the engine, out of the same budget.
    return max(0.0, conf.ready_budget - ENGINE_GRACE - (time.monotonic() - began))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")[:26] + "Z"
