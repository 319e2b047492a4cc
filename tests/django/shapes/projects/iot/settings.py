"""PostGIS with statistics of statements, a cache for select boxes, an MQTT broker, a folder for logs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.django.shapes.parsing import dj_database_url
from tests.django.shapes.projects import common

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["devices.example"]
DATABASES = {"default": dj_database_url(os.environ["DATABASE_URL"], conn_max_age=60, conn_health_checks=True)}
REDIS_URL = os.environ["REDIS_URL"].removesuffix("/0")
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"{REDIS_URL}/4"},
    "select2": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["REDIS_SOCKET_URL"]},
}
SELECT2_CACHE_BACKEND = "select2"
MQTT_CONFIG = {
    "BROKER_ADDRESS": os.environ["MQTT_BROKER_ADDRESS"],
    "BROKER_PORT": os.environ["MQTT_BROKER_PORT"],
    "BROKER_USERNAME": os.environ["MQTT_BROKER_USERNAME"],
    "BROKER_PASSWORD": os.environ["MQTT_BROKER_PASSWORD"],
    "BROKER_USE_TLS": False,
}
INSTALLED_APPS = [*common.APPS, "django.contrib.gis", "django_lifesigns"]
MIDDLEWARE = [common.PROBES, common.SECURITY, *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = True
SECURE_SSL_REDIRECT = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_ROOT = BASE_DIR / "media"
LOG_DIR = BASE_DIR / "logs"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
