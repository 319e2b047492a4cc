"""Several databases with a router, an engine of its own, Celery's settings by their old names."""

from __future__ import annotations

import os
from os.path import abspath, dirname, join
from typing import Any

from tests.django.shapes.parsing import environ_db
from tests.django.shapes.projects import common

PROJECT_ROOT = dirname(abspath(__file__))
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ADMINS = ()
INTERNAL_IPS = ()
ALLOWED_HOSTS = ["errors.example"]
ENGINE = "project.backends"


def database(variable: str) -> dict[str, Any]:
    """Return an entry of DATABASES with the project's own engine."""
    return {**environ_db(os.environ[variable]), "ENGINE": ENGINE, "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False}


DATABASES = {
    "default": database("DATABASE_URL"),
    "control": database("CONTROL_DATABASE_URL"),
    # Another application's, only read; it has migrations of its own.
    "legacy": environ_db(os.environ["LEGACY_DATABASE_URL"]),
}
DATABASE_ROUTERS = ("project.router.SiloRouter",)
INSTALLED_APPS: tuple[str, ...] = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_lifesigns",
    "rest_framework",
)
MIDDLEWARE: tuple[str, ...] = (common.PROBES, common.SECURITY, *common.MIDDLEWARE)
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_ROOT = os.path.realpath(join(PROJECT_ROOT, "static"))
STATIC_URL = "/_static/{version}/"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
CACHES: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
REDIS_CLUSTERS = {"default": {"hosts": [{"host": os.environ["REDIS_HOST"], "port": int(os.environ["REDIS_PORT"])}]}}
BROKER_URL = os.environ["REDIS_URL"]
BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
CELERY_IGNORE_RESULT = True
CELERY_SEND_EVENTS = False
CELERY_RESULT_BACKEND = None
CELERY_TASK_RESULT_EXPIRES = 1
CELERY_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = "pickle"
CELERY_ACCEPT_CONTENT = {"pickle"}
EMAIL_BACKEND = "post_office.EmailBackend"
POST_OFFICE = {"BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}}
EMAIL_HOST = os.environ["EMAIL_HOST"]
EMAIL_PORT = int(os.environ["EMAIL_PORT"])
EMAIL_HOST_USER = os.environ["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = os.environ["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = False
