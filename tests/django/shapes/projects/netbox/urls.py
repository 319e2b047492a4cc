"""The application, and the metrics of django-prometheus at the path where ours would be."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django_prometheus.exports import ExportToDjangoView


def home(request: HttpRequest) -> HttpResponse:
    """Answer for who is logged in."""
    return HttpResponse("home")


urlpatterns = [
    path("", include("django_lifesigns.urls")),
    path("", home),
    path("metrics", login_not_required(ExportToDjangoView), name="prometheus-django-metrics"),
]
