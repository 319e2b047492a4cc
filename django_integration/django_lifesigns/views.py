"""The probes, each one coroutine function: what runs, and with which status code it answers.

They are written once for WSGI and ASGI: `wait` blocks the thread or awaits the engine. Their guards are in
`http.probe`; what is shown to whom is decided in `http.access`, and how it is written in `http.renderers`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any

from django.http import HttpRequest, HttpResponse

from django_lifesigns.dashboard.responses import json_response
from django_lifesigns.history import recent as history
from django_lifesigns.history.recorder import record
from django_lifesigns.http.access import Caller, identify, identify_without_session
from django_lifesigns.http.headers import NOT_KEPT
from django_lifesigns.http.other_answers import draining_answer, now, refuse_refresh, unknown, wants_refresh
from django_lifesigns.http.probe import probe
from django_lifesigns.http.public_page import public_answer
from django_lifesigns.http.redact_report import statuses_only
from django_lifesigns.http.renderers import answer, answer_sweep
from django_lifesigns.http.system_info import system_info
from django_lifesigns.runtime.engine import Runtime, aon_request, get_runtime, on_request
from django_lifesigns.runtime.startup import get_startup
from django_lifesigns.runtime.waiting import Wait, in_thread
from django_lifesigns.settings.conf import Conf
from lifesigns import Engine, draining, metrics_format, uptime
from lifesigns import metrics as exposition

# The engine ends a sweep at most this long after its deadline.
ENGINE_GRACE = 0.05


@probe()
async def liveness_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/alive/`: the process serves requests. Runs nothing else, since a restart mends no dependency."""
    body = {"status": "alive", "timestamp": now(), "uptime_seconds": round(uptime(), 3), "message": "Service is alive"}
    return answer(request, body)


@probe("Authorization")
async def readiness_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/ready/`: the critical checks, as old as `READY_MAX_AGE` allows, in `READY_BUDGET`; no more once draining."""
    if draining():
        return draining_answer(request)
    started = time.monotonic()
    runtime = await wait(on_request, aon_request)
    engine, conf = runtime.engine, runtime.conf
    options = {"critical_only": True, "deadline": _deadline(conf, started), "max_age": conf.ready_max_age}
    sweep = await wait(engine.sweep, engine.asweep, **options)
    if sweep.status != "unhealthy":
        return answer(request, {"status": "ready", "timestamp": now(), "message": "Service is ready"})
    failing = {name: result for name, result in sweep.report()["checks"].items() if result["status"] == "error"}
    # Without any a project has no check at all.
    message = f"Critical checks failing: {', '.join(failing)}" if failing else sweep.report()["message"]
    body = {"status": "not_ready", "timestamp": now(), "message": message, "details": failing}
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
        "timestamp": now(),
        "message": "Service has started" if started else "Service is starting",
        "checks": checks,
    }
    return answer(request, _for_probe(request, runtime.conf, body, "checks"), 200 if started else 503)


@probe("Authorization", "Cookie")
async def health_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/`: all checks. Writes nothing."""
    runtime = await wait(on_request, aon_request)
    caller = await identify(request, runtime.conf, wait)
    refresh = wants_refresh(request)
    if refresh and not caller.is_authorized:
        return refuse_refresh(request)
    sweep = await wait(runtime.engine.sweep, runtime.engine.asweep, refresh=refresh)
    return answer_sweep(request, sweep, caller.sees_details, caller.hint, critical=_critical(runtime, caller))


@probe("Authorization", "Cookie")
async def detailed_health_check(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/detailed/`: all checks, recorded, with what is known beside them."""
    runtime = await wait(on_request, aon_request)
    caller = await identify(request, runtime.conf, wait)
    refresh = wants_refresh(request)
    if refresh and not caller.is_authorized:
        return refuse_refresh(request)
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
    return answer(request, {**report, **more}, is_detailed=True, critical=_critical(runtime, caller))


@probe("Authorization", "Cookie")
async def single_check(request: HttpRequest, wait: Wait, check: str) -> HttpResponse:
    """`/health/<check>/`: one check."""
    return await _single(request, wait, check)


@probe("Authorization", "Cookie")
async def public_status(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/status/`: words for everybody, with `PUBLIC_PAGE`. Runs no check; without it a name like any other."""
    runtime = get_runtime()
    if not runtime.conf.public_page:
        return await _single(request, wait, "status")
    return public_answer(request, runtime)


@probe("Authorization", "Cookie", "Accept-Encoding")
async def fleet(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/fleet/`: what is known of all instances, as JSON. Runs no check; else a name like any other."""
    runtime = await wait(on_request, aon_request)
    caller = await identify(request, runtime.conf, wait)
    view = await in_thread(wait, runtime.engine.fleet)
    if view is None:
        return await _single(request, wait, "fleet")
    if not caller.sees_details:
        return json_response(request, {"visible": view["visible"], "states": view["states"], **caller.hint})
    return json_response(request, view)


@probe("Authorization", "Cookie")
async def group_check(request: HttpRequest, wait: Wait, group: str) -> HttpResponse:
    """`/health/group/<group>/`: the checks of a group, by its own criticality; within the bounds of `/ready/`."""
    if draining():
        return draining_answer(request)
    started = time.monotonic()
    runtime = await wait(on_request, aon_request)
    engine, conf = runtime.engine, runtime.conf
    if group not in engine.groups:
        return answer(request, unknown("group", group, engine.groups), 404)
    # A session is looked up for no kubelet, since that sends no cookie.
    caller = await identify(request, conf, wait)
    refresh = wants_refresh(request)
    if refresh and not caller.is_authorized:
        return refuse_refresh(request)
    options = {"group": group, "refresh": refresh, "deadline": _deadline(conf, started), "max_age": conf.ready_max_age}
    sweep = await wait(engine.sweep, engine.asweep, **options)
    critical = engine.names_of(group, critical_only=True)
    shown = {"critical": critical if caller.sees_details else (), "group": group, "decisive": critical}
    return answer_sweep(request, sweep, caller.sees_details, caller.hint, **shown)


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


async def _aexposition(engine: Engine, openmetrics: bool) -> str:
    return await asyncio.to_thread(exposition, engine, openmetrics)  # it may read the store that processes share


def _for_probe(request: HttpRequest, conf: Conf, body: dict[str, Any], results: str) -> dict[str, Any]:
    # Sessions are not looked up: these answers have a budget.
    caller: Caller = identify_without_session(request, conf)
    return body if caller.sees_details else {**statuses_only(body, results), **caller.hint}


async def _single(request: HttpRequest, wait: Wait, check: str) -> HttpResponse:
    runtime = await wait(on_request, aon_request)
    if check not in runtime.engine.names:
        return answer(request, unknown("check", check, runtime.engine.names), 404)
    caller = await identify(request, runtime.conf, wait)
    refresh = wants_refresh(request)
    if refresh and not caller.is_authorized:
        return refuse_refresh(request)
    result: Any = await wait(runtime.engine.check, runtime.engine.acheck, check, refresh=refresh)
    if not caller.sees_details:
        result = {**statuses_only(result, results=None), **caller.hint}
    shown = {"check": check, "is_detailed": caller.sees_details, "critical": _critical(runtime, caller)}
    return answer(request, result, 503 if result["status"] == "error" else 200, results=None, **shown)


def _critical(runtime: Runtime, caller: Caller) -> Collection[str]:
    """Return the names of the critical checks, for a caller who may know them."""
    if not caller.sees_details:
        return ()
    return {runtime.names.get(key, key) for key in runtime.critical}


def _deadline(conf: Conf, started: float) -> float:
    # The first request of a process builds the engine, out of the same budget.
    return max(0.0, conf.ready_budget - ENGINE_GRACE - (time.monotonic() - started))
