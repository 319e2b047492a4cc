"""As few settings as Django takes."""

from __future__ import annotations

from tests.django.shapes.projects import common

DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["gateway.example"]
DATABASES: dict[str, object] = {}
INSTALLED_APPS = ["django_lifesigns"]
MIDDLEWARE = [common.PROBES, common.SECURITY]
SECURE_SSL_REDIRECT = True
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
