"""TLS without verification to PostgreSQL and Redis, static files by WhiteNoise, mail by SMTP."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from tests.django.shapes.parsing import dj_database_url
from tests.django.shapes.projects import common

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = [".heroku.example"]
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATABASES = {"default": dj_database_url(os.environ["DATABASE_URL"], conn_max_age=600, conn_health_checks=True)}
REDIS_URL = os.environ["REDIS_TLS_URL"]
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"ssl_cert_reqs": None, "ssl_check_hostname": False},
    },
    "select2": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"CONNECTION_POOL_KWARGS": {"ssl_cert_reqs": None}},
    },
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "ssl_cert_reqs": None}]},
    }
}
CELERY_BROKER_URL = f"{REDIS_URL}/0"
CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_NONE}
CELERY_RESULT_BACKEND = f"{REDIS_URL}/0?ssl_cert_reqs=none"
CELERY_BROKER_POOL_LIMIT = 1
INSTALLED_APPS = ["channels", *common.APPS, "django_lifesigns"]
MIDDLEWARE = [common.PROBES, common.SECURITY, "whitenoise.middleware.WhiteNoiseMiddleware", *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
EMAIL_HOST = os.environ["EMAIL_HOST"]
EMAIL_PORT = os.environ["EMAIL_PORT"]
EMAIL_HOST_USER = os.environ["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = os.environ["EMAIL_HOST_PASSWORD"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
