"""PostgreSQL by its Unix socket, memcached, a cache in the database, RabbitMQ without Celery."""

from __future__ import annotations

import os
from typing import Any

from psycopg import Connection, Cursor

from tests.django.shapes.projects import common


class TimeTrackingCursor(Cursor[Any]):
    """A cursor of the project's own."""


class TimeTrackingConnection(Connection[Any]):
    """A connection of the project's own."""


DEPLOY_ROOT = os.path.realpath(os.path.dirname(os.path.dirname(__file__)))
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["chat.example", "127.0.0.1", "localhost"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["POSTGRES_NAME"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        # A folder: the server's Unix socket.
        "HOST": os.environ["POSTGRES_SOCKET"],
        "PORT": os.environ["POSTGRES_PORT"],
        "SCHEMA": "zulip",
        "CONN_MAX_AGE": 600,
        "OPTIONS": {"cursor_factory": TimeTrackingCursor, "application_name": "zulip"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USING_RABBITMQ = True
RABBITMQ_HOST, RABBITMQ_USERNAME, RABBITMQ_PASSWORD = "127.0.0.1", "zulip", "a-password-of-rabbitmq"
RATE_LIMITING = True
REDIS_HOST, REDIS_PORT, REDIS_PASSWORD = "127.0.0.1", 6379, None
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "bmemcached_backend.SingletonBMemcached",
        "LOCATION": "127.0.0.1:11211",
        "OPTIONS": {"socket_timeout": 3600, "username": "zulip@localhost", "password": "a-password-of-memcached"},
    },
    "database": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "third_party_api_results",
        "TIMEOUT": None,
        "OPTIONS": {"MAX_ENTRIES": 100000000, "CULL_FREQUENCY": 10},
    },
    "in-memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
INSTALLED_APPS = [*common.APPS, "django.contrib.humanize", "django_lifesigns"]
MIDDLEWARE = [common.PROBES, "django.middleware.locale.LocaleMiddleware", *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_I18N = True
USE_TZ = True
APPEND_SLASH = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_X_FORWARDED_PORT = True
STATIC_URL = "/static/"
STATIC_ROOT = os.path.join(DEPLOY_ROOT, "prod-static/serve")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
# Uploads are the business of the project's own code.
LOCAL_UPLOADS_DIR = os.path.join(DEPLOY_ROOT, "uploads")
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = os.environ["EMAIL_HOST"]
EMAIL_PORT = int(os.environ["EMAIL_PORT"])
EMAIL_HOST_USER = os.environ["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = os.environ["EMAIL_HOST_PASSWORD"]
EMAIL_TIMEOUT = 15
