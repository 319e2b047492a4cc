"""Redis for tasks (0) and for the cache (1), django-rq, django-prometheus, nothing for who is not logged in."""

from __future__ import annotations

import os
from typing import Any

from tests.django.shapes.projects import common

BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["netbox.example"]
DATABASE: dict[str, Any] = {
    "NAME": os.environ["POSTGRES_NAME"],
    "USER": os.environ["POSTGRES_USER"],
    "PASSWORD": os.environ["POSTGRES_PASSWORD"],
    "HOST": os.environ["POSTGRES_HOST"],
    "PORT": os.environ["POSTGRES_PORT"],
    "CONN_MAX_AGE": 300,
    "ENGINE": "django_prometheus.db.backends.postgresql",
    "OPTIONS": {"sslmode": "prefer"},
}
DATABASES = {"default": DATABASE}
SERVER = {
    "HOST": os.environ["REDIS_HOST"],
    "PORT": int(os.environ["REDIS_PORT"]),
    "PASSWORD": os.environ["REDIS_DEFAULT_PASSWORD"],
    "SSL": False,
}
REDIS = {"tasks": {**SERVER, "DATABASE": 0}, "caching": {**SERVER, "DATABASE": 1}}
CACHING = REDIS["caching"]
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://{CACHING['HOST']}:{CACHING['PORT']}/{CACHING['DATABASE']}",
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient", "PASSWORD": CACHING["PASSWORD"]},
    }
}
RQ_PARAMS = {**SERVER, "DB": 0, "DEFAULT_TIMEOUT": 300}
RQ_QUEUES = dict.fromkeys(("high", "default", "low"), RQ_PARAMS)
EMAIL_HOST = "localhost"
EMAIL_HOST_USER = ""
EMAIL_HOST_PASSWORD = ""
EMAIL_PORT = 25
EMAIL_USE_SSL = False
EMAIL_USE_TLS = False
SERVER_EMAIL = ""
INSTALLED_APPS = ["django_prometheus", *common.APPS, "corsheaders", "django_rq", "rest_framework", "django_lifesigns"]
MIDDLEWARE = [
    common.PROBES,
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    *common.MIDDLEWARE[:1],
    "django.middleware.locale.LocaleMiddleware",
    *common.MIDDLEWARE[1:],
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    common.SECURITY,
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = True
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_X_FORWARDED_HOST = True
X_FRAME_OPTIONS = "SAMEORIGIN"
STATIC_ROOT = BASE_DIR + "/static"
STATIC_URL = "/static/"
MEDIA_ROOT = os.path.join(BASE_DIR, "media").rstrip("/")
MEDIA_URL = "/media/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/login/"
