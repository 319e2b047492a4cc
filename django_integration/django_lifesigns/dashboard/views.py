"""The dashboard's views: who may see them, in which format they answer, and what becomes of a button."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode

from django_lifesigns.alerts.plausibility import OTHER_SUBJECTS
from django_lifesigns.dashboard.actions import DONE, PERMISSIONS, act
from django_lifesigns.dashboard.assemble import dashboard_data
from django_lifesigns.dashboard.csrf import is_forged
from django_lifesigns.dashboard.detail import check_data
from django_lifesigns.dashboard.fleet import read_fleet
from django_lifesigns.dashboard.history import read_history
from django_lifesigns.dashboard.live import read_live
from django_lifesigns.dashboard.present import check_context, dashboard_context
from django_lifesigns.dashboard.responses import json_response, page, redirect, wants_json
from django_lifesigns.http.access import caller_of, is_authorized
from django_lifesigns.http.links import link
from django_lifesigns.http.negotiation import parameter
from django_lifesigns.http.other_answers import unknown
from django_lifesigns.http.page import navigation
from django_lifesigns.http.probe import METHODS, probe
from django_lifesigns.http.renderers import answer
from django_lifesigns.http.sessions import StaffUser, staff_user
from django_lifesigns.http.templates import project_language
from django_lifesigns.runtime.engine import Runtime, aon_request, get_runtime, on_request
from django_lifesigns.runtime.waiting import Wait, in_thread

VARY = ("Authorization", "Cookie", "Accept-Encoding")
UNAUTHORIZED = "The dashboard requires a bearer token, an allowed network or a staff session"
FORBIDDEN = "This requires the session of a staff user with the permission, and a form of this page"
# Where a button leads back to, in place of the page of the check.
BACK_TO_ALL = "dashboard"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a view shows: its data, the template of its page, and what that is given, by the data and the home URL."""

    data: Callable[[], Any]
    template: str
    context: Callable[[Any, str], dict[str, Any]]


@probe(*VARY)
async def dashboard(request: HttpRequest, wait: Wait) -> HttpResponse:
    """`/health/dashboard/`: what is known of all checks, and their history. Runs nothing."""
    runtime = get_runtime()
    user = await staff_user(request, wait, *PERMISSIONS.values())
    if (refused := _refusal(request, runtime, user)) is not None:
        return refused
    history = await read_history(wait, has_rates=wants_json(request))

    def data() -> Any:
        return dashboard_data(read_live(runtime), history, has_days=wants_json(request))

    def context(data: Any, home: str) -> dict[str, Any]:
        return {**dashboard_context(data, home, drawing=history.drawing), "fleet": read_fleet(runtime)}

    shown = Shown(data, "lifesigns/dashboard.html", context)
    return await in_thread(wait, _respond, request, shown, runtime, user)


@probe(*VARY, methods=(*METHODS, "POST"))
async def dashboard_check(request: HttpRequest, wait: Wait, check: str) -> HttpResponse:
    """`/health/dashboard/<check>/`: one check with its history; and what the buttons of its forms do."""
    if request.method == "POST":
        return await _post(request, wait, check)
    runtime = get_runtime()
    user = await staff_user(request, wait, *PERMISSIONS.values())
    if (refused := _refusal(request, runtime, user)) is not None:
        return refused
    if check not in runtime.engine.names:
        if check in OTHER_SUBJECTS:  # as the links of alerts about the whole have it
            return redirect(_home(request))
        return answer(request, unknown("check", check, runtime.engine.names), 404)
    history = await read_history(wait, check)

    def data() -> Any:
        return check_data(check, read_live(runtime), history)

    shown = Shown(data, "lifesigns/dashboard_check.html", partial(check_context, drawing=history.drawing))
    return await in_thread(wait, _respond, request, shown, runtime, user)


async def _post(request: HttpRequest, wait: Wait, check: str) -> HttpResponse:
    runtime = await wait(on_request, aon_request)
    user = await staff_user(request, wait, *PERMISSIONS.values())
    action = request.POST.get("action", "")
    is_allowed = user is not None and PERMISSIONS.get(action) in user.permissions
    if user is None or not is_allowed or await in_thread(wait, is_forged, request):
        return answer(request, {"status": "forbidden", "message": FORBIDDEN}, 403)
    if check not in runtime.engine.names:
        return answer(request, unknown("check", check, runtime.engine.names), 404)
    done = await act(action, check, user.name, runtime, wait)
    home = _home(request)
    if request.POST.get("back") == BACK_TO_ALL:
        return redirect(f"{home}?{urlencode({'done': done, 'check': check})}")
    return redirect(f"{home}{check}/?{urlencode({'done': done})}")


def _refusal(request: HttpRequest, runtime: Runtime, user: StaffUser | None) -> HttpResponse | None:
    """Return the answer to a caller who may not see details."""
    conf = runtime.conf
    if caller_of(is_authorized(request, conf) or user is not None, conf).sees_details:
        return None
    response = answer(request, {"status": "unauthorized", "message": UNAUTHORIZED}, 401)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _respond(request: HttpRequest, shown: Shown, runtime: Runtime, user: StaffUser | None) -> HttpResponse:
    with project_language():
        data = shown.data()
        if wants_json(request):
            return json_response(request, data)
        home = _home(request)
        more = {
            "links": navigation(request, is_detailed=True),
            "done": DONE.get(parameter(request, "done", "")),
            "done_check": parameter(request, "check", ""),
            "may": _allowed(user, bool(runtime.conf.alerts)),
        }
        return page(request, shown.template, {**shown.context(data, home), **more})


def _allowed(user: StaffUser | None, has_alerts: bool) -> dict[str, bool]:
    """Return which buttons the user gets."""
    permissions = user.permissions if user else frozenset()
    may = {action.replace("-", "_"): permission in permissions for action, permission in PERMISSIONS.items()}
    if not has_alerts:
        may |= {"acknowledge": False, "silence": False}
    return {**may, "any": any(may.values())}


def _home(request: HttpRequest) -> str:
    """Return the URL of the dashboard beside the request's; of the request where a view is imported by name."""
    return link(request, "dashboard") or "./"
