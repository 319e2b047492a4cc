"""Settings of every environment."""

from __future__ import annotations

import os

from tests.django.shapes.projects import common

PROJECT_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE_DIR = os.path.dirname(PROJECT_DIR)
INSTALLED_APPS = ["project", "django_lifesigns", "django.contrib.redirects", "django.contrib.sites", *common.APPS]
INSTALLED_APPS += ["django_tasks", "django_tasks_db"]
# The tables of the other backend are there, and nothing is ever in them.
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
SITE_ID = 1
MIDDLEWARE = [
    common.PROBES,
    *common.MIDDLEWARE[:1],
    "django.middleware.locale.LocaleMiddleware",
    *common.MIDDLEWARE[1:],
    common.SECURITY,
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
]
ROOT_URLCONF = "project.urls"
TEMPLATES = common.TEMPLATES
WSGI_APPLICATION = "project.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(BASE_DIR, "db.sqlite3")}}
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "French")]
USE_I18N = True
USE_TZ = True
STATICFILES_DIRS = [os.path.join(PROJECT_DIR, "static")]
STATIC_ROOT = os.path.join(BASE_DIR, "static")
STATIC_URL = "/static/"
# Made with the first upload.
MEDIA_ROOT = os.path.join(BASE_DIR, "media")
MEDIA_URL = "/media/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
WAGTAIL_SITE_NAME = "project"
