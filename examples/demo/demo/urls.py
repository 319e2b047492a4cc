"""The probes, and a home page that leads to them."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="health_check")),
    path("", include("django_lifesigns.urls")),
]
