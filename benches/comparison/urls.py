"""The URLs under which a server answers for each contender, and with an empty view."""

from __future__ import annotations

from functools import cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from health_check.views import HealthCheckView

from benches.comparison.contender import stack_settings
from benches.comparison.peer import CHECKS
from benches.comparison.plain import Kept, Plain

BODY = '{"status": "ready", "timestamp": "2026-01-01T00:00:00.000000Z", "message": "Service is ready"}'


@cache
def plain() -> Kept:
    """That of this process: threads do not survive a fork."""
    return Kept(Plain(stack_settings()))


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


def body(request: HttpRequest) -> HttpResponse:
    return HttpResponse(BODY)


def plain_fresh(request: HttpRequest) -> HttpResponse:
    return answer(plain().plain.sweep())


def plain_kept(request: HttpRequest) -> HttpResponse:
    return answer(plain().sweep())


def answer(report: dict[str, object]) -> HttpResponse:
    return JsonResponse(report, status=200 if report["status"] == "healthy" else 503)


urlpatterns = [
    path("", include("django_lifesigns.urls")),
    path("peer/", HealthCheckView.as_view(checks=CHECKS)),
    path("plain/", plain_fresh),
    path("plain/kept/", plain_kept),
    path("empty/", empty),
    path("body/", body),
]
