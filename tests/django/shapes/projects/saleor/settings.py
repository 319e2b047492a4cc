"""ASGI without sessions, admin and messages; PostgreSQL with a replica, Celery on Redis, uploads in a bucket."""

from __future__ import annotations

import os
from typing import Any

from tests.django.shapes.parsing import cache_url, dj_database_url, email_url
from tests.django.shapes.projects import common

PROJECT_ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), ".."))
DEBUG = os.environ.get("DEBUG", "True") == "True"
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["api.shop.example"]
ALLOWED_GRAPHQL_ORIGINS = ["*"]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"

CONN_MAX_AGE = 600
DATABASES = {
    "default": dj_database_url(os.environ["DATABASE_URL"], conn_max_age=CONN_MAX_AGE),
    "replica": {
        **dj_database_url(os.environ["DATABASE_URL_REPLICA"], conn_max_age=CONN_MAX_AGE, conn_health_checks=True),
        "TEST": {"MIRROR": "default"},
    },
}
# There may be PgBouncer between.
for database in DATABASES.values():
    database["DISABLE_SERVER_SIDE_CURSORS"] = True
DATABASE_ROUTERS = ["project.routers.PrimaryReplicaRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "storages",
    "django.contrib.contenttypes",
    "django.contrib.sites",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.auth",
    "django_celery_beat",
    "django_lifesigns",
]
MIDDLEWARE = [common.PROBES, common.SECURITY, "django.middleware.common.CommonMiddleware"]
TEMPLATES = common.TEMPLATES
TEST_RUNNER = "django.test.runner.DiscoverRunner"
SITE_ID = 1
USE_TZ = True
USE_I18N = True
APPEND_SLASH = False
SECURE_SSL_REDIRECT = not DEBUG

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "")
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_RESULT_BACKEND = os.environ.get("CELERY_RESULT_BACKEND")
CELERY_TASK_ROUTES = {"project.webhooks.*": {"queue": "webhooks"}}
CELERY_BEAT_SCHEDULE: dict[str, Any] = {}

if "CACHE_URL" in os.environ:
    CACHES: dict[str, dict[str, Any]] = {
        "default": cache_url(os.environ["CACHE_URL"], "django.core.cache.backends.redis.RedisCache")
    }
MEDIA_ROOT = os.path.join(PROJECT_ROOT, "media")
MEDIA_URL = "/media/"
STATIC_ROOT = os.path.join(PROJECT_ROOT, "static")
STATIC_URL = "/static/"
AWS_MEDIA_BUCKET_NAME = os.environ.get("AWS_MEDIA_BUCKET_NAME")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if AWS_MEDIA_BUCKET_NAME:
    STORAGES["default"]["BACKEND"] = "project.storages.S3MediaStorage"
    STORAGES["staticfiles"]["BACKEND"] = "storages.backends.s3boto3.S3Boto3Storage"
if "EMAIL_URL" in os.environ:
    globals().update(email_url(os.environ["EMAIL_URL"]))
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = "noreply@shop.example"
