"""Mail by the API of Amazon SES with a relay left over, several Redis databases, tasks and results apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.django.shapes.projects import common

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["social.example"]
EMAIL_BACKEND = "django_ses.SESBackend"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "127.0.0.1")
EMAIL_PORT = os.environ.get("EMAIL_PORT", 1)  # where no relay is any more
EMAIL_HOST_USER = "left-over"
EMAIL_HOST_PASSWORD = "left-over-password"
EMAIL_USE_TLS = True
AWS_SES_REGION_NAME = "eu-central-1"
AWS_SES_REGION_ENDPOINT = "email.eu-central-1.example"
REDIS_ACTIVITY_URL = os.environ["REDIS_URL"].removesuffix("/0") + "/3"
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [REDIS_ACTIVITY_URL, REDIS_ACTIVITY_URL],  # the primary, and who is read from
        "OPTIONS": {"health_check_interval": 30, "socket_connect_timeout": 5},
    },
    "file_resubmit": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": BASE_DIR / "file_resubmit",
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_DEFAULT_QUEUE = "tasks"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"priority_steps": [0, 3, 6, 9], "queue_order_strategy": "priority"}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["POSTGRES_NAME"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        "HOST": os.environ["POSTGRES_HOST"],
        "PORT": os.environ["POSTGRES_PORT"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {"keepalives": "1", "connect_timeout": "5", "options": "-c statement_timeout=15000"},
    }
}
INSTALLED_APPS = [*common.APPS, "django_celery_results", "django_celery_beat", "django_lifesigns"]
MIDDLEWARE = [common.PROBES, common.SECURITY, *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = False
TIME_ZONE = "America/New_York"
LANGUAGE_CODE = "de"
USE_THOUSAND_SEPARATOR = True
globals().update(common.SECURE)
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
MEDIA_URL = "/images/"
MEDIA_ROOT = BASE_DIR / "images"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
