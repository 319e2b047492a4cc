"""Pages in several languages, and behind all else the pages of the editors, at any path."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path


def page(request: HttpRequest, url: str) -> HttpResponse:
    """Answer for any path."""
    return HttpResponse(f"page {url}")


urlpatterns = [
    path("", include("django_lifesigns.urls")),
    path("django-admin/", admin.site.urls),
    *i18n_patterns(re_path(r"^((?:[\w\-]+/)*)$", page)),
]
