"""The probe URLs; `include("django_lifesigns.urls")` at the root gives exactly these paths."""

from __future__ import annotations

from django.urls import path

from django_lifesigns import views
from django_lifesigns.dashboard.views import dashboard, dashboard_check
from django_lifesigns.http.assets import health_asset

urlpatterns = [
    path("alive/", views.liveness_check, name="liveness_check"),
    path("ready/", views.readiness_check, name="readiness_check"),
    path("startup/", views.startup_check, name="startup_check"),
    path("health/", views.health_check, name="health_check"),
    path("health/detailed/", views.detailed_health_check, name="detailed_health_check"),
    path("metrics/", views.metrics, name="metrics"),
    path("health/dashboard/", dashboard, name="dashboard"),
    path("health/dashboard/<str:check>/", dashboard_check, name="dashboard_check"),
    path("health/fleet/", views.fleet, name="fleet"),
    path("health/status/", views.public_status, name="public_status"),
    path("health/assets/<str:digest>/<str:name>", health_asset, name="health_asset"),
    path("health/group/<str:group>/", views.group_check, name="group_check"),
    path("health/<str:check>/", views.single_check, name="single_check"),
]
