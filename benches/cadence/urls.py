"""The pages that are probed, `/ready/`, `/alive/`, `/startup/` and `/metrics/`, in the project of each contender."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path

# Plain Python keeps its report for as long as readiness may be old.
SECONDS_KEPT = 5


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


def bare() -> list[URLPattern | URLResolver]:
    """A project that has no health checks, and is probed all the same."""
    return [path(f"{page}/", empty) for page in ("ready", "alive", "startup", "metrics")]


def lifesigns() -> list[URLPattern | URLResolver]:
    return [path("", include("django_lifesigns.urls"))]


def django_health_check() -> list[URLPattern | URLResolver]:
    """As its documentation has it: each probe runs its checks, but for liveness, which depends on nothing."""
    from health_check.views import HealthCheckView

    from benches.comparison.peer import CHECKS

    view = HealthCheckView.as_view(checks=CHECKS)
    return [path("alive/", empty), *(path(f"{page}/", view) for page in ("ready", "startup", "metrics"))]


def plain() -> list[URLPattern | URLResolver]:
    return [path("alive/", empty), *(path(f"{page}/", plain_report) for page in ("ready", "startup", "metrics"))]


@cache
def kept() -> Any:
    """The checks of this process: threads do not survive a fork."""
    from benches.comparison.contender import stack_settings
    from benches.comparison.plain import Kept, Plain

    return Kept(Plain(stack_settings()), SECONDS_KEPT)


def plain_report(request: HttpRequest) -> HttpResponse:
    report = kept().sweep()
    return JsonResponse(report, status=200 if report["status"] == "healthy" else 503)


PROJECTS = {project.__name__: project for project in (bare, lifesigns, django_health_check, plain)}

urlpatterns = PROJECTS[settings.CADENCE_PROJECT]()  # type: ignore[misc]  # a setting of the benchmark's own
