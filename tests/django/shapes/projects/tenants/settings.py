"""One PostgreSQL schema for each customer; users, and what lifesigns keeps, in `public`."""

from __future__ import annotations

import os

from tests.django.shapes.parsing import environ_db
from tests.django.shapes.projects import common

DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = [".example"]
DATABASES = {
    "default": {**environ_db(os.environ["DATABASE_URL"]), "ENGINE": "django_tenants.postgresql_backend"},
}
ORIGINAL_BACKEND = "django.db.backends.postgresql"
DATABASE_ROUTERS = ("django_tenants.routers.TenantSyncRouter",)
PG_EXTRA_SEARCH_PATHS = ["public"]
SHARED_APPS = ["django_tenants", "django_lifesigns", "django.contrib.contenttypes", "django.contrib.auth"]
SHARED_APPS += ["django.contrib.staticfiles", "django.contrib.messages", "django.contrib.admin"]
TENANT_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "project.notes"]
INSTALLED_APPS = [*SHARED_APPS, *(app for app in TENANT_APPS if app not in SHARED_APPS)]
MIDDLEWARE = [
    common.PROBES,
    "django_tenants.middleware.main.TenantMainMiddleware",
    common.SECURITY,
    *common.MIDDLEWARE,
]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
PUBLIC_SCHEMA_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = True
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = "media"
MULTITENANT_RELATIVE_MEDIA_ROOT = "%s"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
