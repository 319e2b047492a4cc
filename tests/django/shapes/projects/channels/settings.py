"""ASGI with daphne, Channels on Redis, a pool of connections to PostgreSQL, sessions in the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.django.shapes.parsing import environ_db
from tests.django.shapes.projects import common

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["chat.example"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **environ_db(os.environ["DATABASE_URL"]),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 4, "timeout": 10}, "server_side_binding": True},
    }
}
REDIS_URL = os.environ["REDIS_URL"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            "hosts": [REDIS_URL],
            "capacity": 1500,
            "expiry": 10,
            "symmetric_encryption_keys": [SECRET_KEY],
        },
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
INSTALLED_APPS = ["daphne", "channels", *common.APPS, "django_lifesigns"]
MIDDLEWARE = [common.PROBES, common.SECURITY, "whitenoise.middleware.WhiteNoiseMiddleware", *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
USE_TZ = True
SECURE_SSL_REDIRECT = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
