"""The probes by the names that Kubernetes' own components use, without a slash at the end."""

from __future__ import annotations

from django.urls import path

from django_lifesigns import views
from django_lifesigns.http.assets import health_asset

urlpatterns = [
    path("livez", views.liveness_check, name="livez"),
    path("readyz", views.readiness_check, name="readyz"),
    path("startup", views.startup_check, name="startup"),
    path("healthz", views.health_check, name="healthz"),
    path("healthz/group/<str:group>", views.group_check, name="healthz_group"),
    path("healthz/assets/<str:digest>/<str:name>", health_asset, name="healthz_asset"),
]
