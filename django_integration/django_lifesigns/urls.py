"""The probe URLs; `include("django_lifesigns.urls")` at the root gives exactly these paths."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connections
from django.db.transaction import non_atomic_requests
from django.http import HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from django_lifesigns import views
from django_lifesigns.http.apm import unmonitored


def probe(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view as it is served: for GET and HEAD only, and outside of any transaction."""
    # Exempt, since a probe carries no cookie and changes nothing: a POST is told 405, not 403 and a page about CSRF.
    view = csrf_exempt(require_safe(unmonitored(view)))
    # With ATOMIC_REQUESTS Django would open a transaction first, and a probe would hang with the database.
    for alias in connections:
        view = non_atomic_requests(alias)(view)
    return view


urlpatterns = [
    path("alive/", probe(views.liveness_check), name="liveness_check"),
    path("ready/", probe(views.readiness_check), name="readiness_check"),
    path("startup/", probe(views.startup_check), name="startup_check"),
    path("health/", probe(views.health_check), name="health_check"),
    path("health/detailed/", probe(views.detailed_health_check), name="detailed_health_check"),
    path("metrics/", probe(views.metrics), name="metrics"),
    path("health/<str:check>/", probe(views.single_check), name="single_check"),
]
