"""The probes at the root, as the README says."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("django_lifesigns.urls"))]
