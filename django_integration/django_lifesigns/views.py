"""The probes, each one coroutine function: what runs, and with which status code it answers.

They are written once for WSGI and ASGI: `wait` blocks the thread or awaits the engine. Their guards are in
`http.probe`; what is shown to whom is decided in `http.access`, and how it is written in `http.renderers`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from django.http import HttpRequest, HttpResponse

from django_lifesigns.history import recent as history
from django_lifesigns.history.recorder import record
from django_lifesigns.http.access import Caller, identify, identify_without_session
from django_lifesigns.http.headers import NOT_KEPT
from django_lifesigns.http.negotiation import parameter
from django_lifesigns.http.probe import probe
from django_lifesigns.http.redact_report import statuses_only
from django_lifesigns.http.renderers import answer, answer_sweep
from django_lifesigns.http.system_info import system_info
from django_lifesigns.runtime.engine import aon_request, on_request
from django_lifesigns.runtime.startup import get_startup
from django_lifesigns.runtime.waiting import Wait
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import nearest_of
from lifesigns import draining, metrics_format, uptime
from lifesigns import metrics as exposition

# The engine ends a sweep at most this long after its deadline.
ENGINE_GRACE = 0.05


@probe()
async def liveness_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/alive/`: the process serves requests. Runs nothing else, since a restart mends no dependency."""
    body = {"status": "alive", "timestamp": _now(), "uptime_seconds": round(uptime(), 3), "message": "Service is alive"}
    return answer(request, body)


@probe("Authorization")
async def readiness_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/ready/`: the critical checks, as old as `READY_MAX_AGE` allows, in `READY_BUDGET`; no more once draining."""
    if draining():
        return _draining(request)
    started = time.monotonic()
    runtime = await wait(on_request, aon_request)
    engine, conf = runtime.engine, runtime.conf
    options = {"critical_only": True, "deadline": _deadline(conf, started), "max_age": conf.ready_max_age}
    sweep = await wait(engine.sweep, engine.asweep, **options)
    if sweep.status != "unhealthy":
        return answer(request, {"status": "ready", "timestamp": _now(), "message": "Service is ready"})
    failing = {name: result for name, result in sweep.report()["checks"].items() if result["status"] == "error"}
    # Without any a project has no check at all.
    message = f"Critical checks failing: {', '.join(failing)}" if failing else sweep.report()["message"]
    body = {"status": "not_ready", "timestamp": _now(), "message": message, "details": failing}
    return answer(request, _for_probe(request, conf, body, "details"), 503, results="details")


@probe("Authorization")
async def startup_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/startup/`: migrations are applied and the critical checks have passed once, within `READY_BUDGET`."""
    started_at = time.monotonic()
    runtime = await wait(on_request, aon_request)
    deadline = _deadline(runtime.conf, started_at)
    started, checks = await get_startup().check(runtime.engine, deadline, wait)
    body = {
        "status": "started" if started else "starting",
        "timestamp": _now(),
        "message": "Service has started" if started else "Service is starting",
        "checks": checks,
    }
    return answer(request, _for_probe(request, runtime.conf, body, "checks"), 200 if started else 503)


@probe("Authorization", "Cookie")
async def health_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/`: all checks. Writes nothing."""
    runtime = await wait(on_request, aon_request)
    caller = await identify(request, runtime.conf, wait)
    refresh = _wants_refresh(request)
    if refresh and not caller.is_authorized:
        return _refuse_refresh(request)
    sweep = await wait(runtime.engine.sweep, runtime.engine.asweep, refresh=refresh)
    return answer_sweep(request, sweep, caller.sees_details, caller.hint)


@probe("Authorization", "Cookie")
async def detailed_health_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/detailed/`: all checks, recorded, with what is known beside them."""
    runtime = await wait(on_request, aon_request)
    caller = await identify(request, runtime.conf, wait)
    refresh = _wants_refresh(request)
    if refresh and not caller.is_authorized:
        return _refuse_refresh(request)
    report: Any = await wait(runtime.engine.run, runtime.engine.arun, refresh=refresh)
    record(report, runtime.engine)
    if not caller.sees_details:
        return answer(request, {**statuses_only(report), **caller.hint})
    database = report["checks"].get(runtime.names.get("database_connectivity"), {})
    availability, hours, objectives = await wait(history.read, history.aread) or (None, None, None)
    more = {
        "system_info": system_info(database),
        "service_availability": availability,
        "history": hours,
        "objectives": objectives,
    }
    return answer(request, {**report, **more})


@probe("Authorization", "Cookie")
async def single_check(request: HttpRequest, wait: Wait, check: str) -> HttpResponse:
    """`/health/<check>/`: one check."""
    runtime = await wait(on_request, aon_request)
    if check not in runtime.engine.names:
        return answer(request, _unknown("check", check, runtime.engine.names), 404)
    caller = await identify(request, runtime.conf, wait)
    refresh = _wants_refresh(request)
    if refresh and not caller.is_authorized:
        return _refuse_refresh(request)
    result: Any = await wait(runtime.engine.check, runtime.engine.acheck, check, refresh=refresh)
    if not caller.sees_details:
        result = {**statuses_only(result, results=None), **caller.hint}
    return answer(request, result, 503 if result["status"] == "error" else 200, results=None)


@probe("Authorization", "Cookie")
async def group_check(request: HttpRequest, wait: Wait, group: str) -> HttpResponse:
    """`/health/group/<group>/`: the checks of a group, by its own criticality; within the bounds of `/ready/`."""
    if draining():
        return _draining(request)
    started = time.monotonic()
    runtime = await wait(on_request, aon_request)
    engine, conf = runtime.engine, runtime.conf
    if group not in engine.groups:
        return answer(request, _unknown("group", group, engine.groups), 404)
    # A session is looked up for no kubelet, since that sends no cookie.
    caller = await identify(request, conf, wait)
    refresh = _wants_refresh(request)
    if refresh and not caller.is_authorized:
        return _refuse_refresh(request)
    options = {"group": group, "refresh": refresh, "deadline": _deadline(conf, started), "max_age": conf.ready_max_age}
    sweep = await wait(engine.sweep, engine.asweep, **options)
    return answer_sweep(request, sweep, caller.sees_details, caller.hint)


@probe("Authorization", "Cookie")
async def metrics(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/metrics/`: what is known of the checks, as Prometheus or OpenMetrics text. Runs none of them."""
    runtime = await wait(on_request, aon_request)
    caller = await identify(request, runtime.conf, wait)
    if not caller.sees_details:
        message = "Metrics require a bearer token, an allowed network or a staff session"
        response = answer(request, {"status": "unauthorized", "message": message}, 401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    openmetrics, content_type = metrics_format(request.META.get("HTTP_ACCEPT", ""))
    text = await wait(exposition, _aexposition, runtime.engine, openmetrics)
    content = text.encode()
    headers = {**NOT_KEPT, "Content-Length": str(len(content))}
    return HttpResponse(content, content_type=content_type, headers=headers)


async def _aexposition(*arguments: Any) -> str:
    # It may read the store that processes share.
    return await asyncio.to_thread(exposition, *arguments)


def _for_probe(request: HttpRequest, conf: Conf, body: dict[str, Any], results: str) -> dict[str, Any]:
    # Sessions are not looked up: these answers have a budget.
    caller: Caller = identify_without_session(request, conf)
    return body if caller.sees_details else {**statuses_only(body, results), **caller.hint}


def _draining(request: HttpRequest) -> HttpResponse:
    return answer(request, {"status": "draining", "timestamp": _now(), "message": "Service is shutting down"}, 503)


def _unknown(what: str, name: str, known: Sequence[str]) -> dict[str, Any]:
    shown = name[:100]
    nearest = nearest_of(shown, known)
    message = f"Unknown {what} {shown!r}" + (f". {nearest}" if nearest else "")
    return {"status": "unknown", "message": message, "known": known}


def _wants_refresh(request: HttpRequest) -> bool:
    return parameter(request, "refresh", "0") not in ("0", "false")


def _refuse_refresh(request: HttpRequest) -> HttpResponse:
    # Whatever SHOW_DETAILS says: a refresh is load on what is checked.
    message = "A refresh requires a bearer token, an allowed network or a staff session"
    return answer(request, {"status": "forbidden", "message": message}, 403)


def _deadline(conf: Conf, started: float) -> float:
    # The first request of a process builds the engine, out of the same budget.
    return max(0.0, conf.ready_budget - ENGINE_GRACE - (time.monotonic() - started))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")[:26] + "Z"
