"""MariaDB with a replica and a second database, many caches on Redis, Celery's settings by their old names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.django.shapes.projects import common

ENV_ROOT = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["lms.example", "apps.lms.example"]
SERVER: dict[str, Any] = {
    "ENGINE": "django.db.backends.mysql",
    "HOST": os.environ["MYSQL_HOST"],
    "PORT": int(os.environ["MYSQL_PORT"]),
    "USER": os.environ["MYSQL_USER"],
    "PASSWORD": os.environ["MYSQL_PASSWORD"],
    "OPTIONS": {"init_command": "SET sql_mode='STRICT_TRANS_TABLES'", "charset": "utf8mb4"},
    "CONN_MAX_AGE": 0,
}
DATABASES = {
    "default": {**SERVER, "NAME": os.environ["MYSQL_NAME"], "ATOMIC_REQUESTS": True},
    "read_replica": {**SERVER, "NAME": os.environ["MYSQL_NAME"]},
    "student_module_history": {**SERVER, "NAME": os.environ["MYSQL_NAME_HISTORY"]},
}
DATABASE_ROUTERS = ["project.routers.HistoryRouter", "project.routers.ReadReplicaRouter"]
REDIS_USER = f"{os.environ['REDIS_USERNAME']}:{quote(os.environ['REDIS_PASSWORD'], safe='')}"
REDIS = f"redis://{REDIS_USER}@{os.environ['REDIS_HOST']}:{os.environ['REDIS_PORT']}"


def cache(prefix: str, timeout: int | None = 300) -> dict[str, Any]:
    """Return one of the many caches in the same Redis database."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "KEY_PREFIX": prefix,
        "KEY_FUNCTION": "project.keys.safe_key",
        "VERSION": "1",
        "LOCATION": f"{REDIS}/1",
        "TIMEOUT": timeout,
    }


CACHES: dict[str, dict[str, Any]] = {
    "default": cache("default"),
    "general": cache("general"),
    "mongo_metadata_inheritance": cache("mongo_metadata_inheritance"),
    "configuration": cache("configuration"),
    "celery": cache("celery", 7200),
    "course_structure_cache": cache("course_structure", 604800),
    "staticfiles": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_PREFIX": "staticfiles_lms",
        "LOCATION": "staticfiles_lms",
        "KEY_FUNCTION": "project.keys.safe_key",
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_SECURE = True
SESSION_SAVE_EVERY_REQUEST = False
BROKER_URL = f"{REDIS}/0"
BROKER_USE_SSL = False
BROKER_HEARTBEAT = 60.0
CELERY_RESULT_BACKEND = "django-cache"
CELERY_ALWAYS_EAGER = False
CELERY_IGNORE_RESULT = False
CELERY_STORE_ERRORS_EVEN_IF_IGNORED = True
CELERY_TASK_SERIALIZER = "json"
CELERY_DEFAULT_QUEUE = "edx.lms.core.default"
CELERY_QUEUES: dict[str, dict[str, Any]] = {
    name: {} for name in ("edx.lms.core.default", "edx.lms.core.high", "edx.lms.core.high_mem")
}
INSTALLED_APPS = [*common.APPS, "django.contrib.humanize", "django.contrib.sites", "django_celery_results"]
INSTALLED_APPS += ["rest_framework", "django_lifesigns"]
SITE_ID = 1
MIDDLEWARE = [common.PROBES, *common.MIDDLEWARE, "django.contrib.sites.middleware.CurrentSiteMiddleware"]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
STATIC_ROOT = ENV_ROOT / "staticfiles"
STATIC_URL = "/static/"
MEDIA_ROOT = ENV_ROOT / "media"
MEDIA_URL = "/media/"
LOG_DIR = ENV_ROOT / "log"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = "localhost"
EMAIL_PORT = 25
EMAIL_USE_TLS = False
EMAIL_HOST_USER = ""
EMAIL_HOST_PASSWORD = ""
