"""Sentinels, which require no password, say where Redis is: to the cache, the channel layer and Celery."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from tests.django.shapes.projects import common

BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["netbox.example"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["POSTGRES_NAME"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        "HOST": os.environ["POSTGRES_HOST"],
        "PORT": os.environ["POSTGRES_PORT"],
        "CONN_MAX_AGE": 300,
        "OPTIONS": {"sslmode": "prefer"},
    }
}
USER, PASSWORD = os.environ["REDIS_USERNAME"], os.environ["REDIS_PASSWORD"]
SENTINEL = (os.environ["SENTINEL_HOST"], int(os.environ["SENTINEL_PORT"]))
DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://{USER}@mymaster/1",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "SENTINELS": [SENTINEL],
            "PASSWORD": PASSWORD,
            "CONNECTION_POOL_KWARGS": {"username": USER},
            "SENTINEL_KWARGS": {"socket_connect_timeout": 10},
        },
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            "hosts": [
                {"sentinels": [SENTINEL], "master_name": "mymaster", "db": 2, "username": USER, "password": PASSWORD}
            ]
        },
    }
}
CELERY_BROKER_URL = f"sentinel://{USER}:{quote(PASSWORD, safe='')}@{SENTINEL[0]}:{SENTINEL[1]}/0"
CELERY_BROKER_TRANSPORT_OPTIONS = {"master_name": "mymaster"}
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"master_name": "mymaster"}
INSTALLED_APPS = ["channels", *common.APPS, "rest_framework", "django_lifesigns"]
MIDDLEWARE = [common.PROBES, common.SECURITY, *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = True
SECURE_SSL_REDIRECT = True
STATIC_ROOT = BASE_DIR + "/static"
STATIC_URL = "/static/"
MEDIA_ROOT = BASE_DIR + "/media"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
