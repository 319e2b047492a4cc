"""Production: uploads and static files in a bucket, mail by the API of Amazon SES, TLS before the application."""

from __future__ import annotations

import os
from typing import Any

from tests.django.shapes.projects import common

from .base import *  # noqa: F403
from .base import DATABASES, INSTALLED_APPS, REDIS_URL

SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["shop.example"]
DATABASES["default"]["CONN_MAX_AGE"] = 60
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient", "IGNORE_EXCEPTIONS": True},
    }
}
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Secure-sessionid"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Secure-csrftoken"
SECURE_HSTS_SECONDS = 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_CONTENT_TYPE_NOSNIFF = True

INSTALLED_APPS += ["storages", "anymail"]
AWS_STORAGE_BUCKET_NAME = "shop"
AWS_QUERYSTRING_AUTH = False
AWS_S3_CUSTOM_DOMAIN = "shop.s3.example"
STORAGES = {
    "default": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"location": "media", "file_overwrite": False},
    },
    "staticfiles": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"location": "static", "default_acl": "public-read"},
    },
}
MEDIA_URL = f"https://{AWS_S3_CUSTOM_DOMAIN}/media/"
STATIC_URL = f"https://{AWS_S3_CUSTOM_DOMAIN}/static/"
DEFAULT_FROM_EMAIL = "Shop <noreply@shop.example>"
EMAIL_BACKEND = "anymail.backends.amazon_ses.EmailBackend"
# The relay of the years before, which is gone.
EMAIL_HOST = os.environ.get("EMAIL_HOST", "smtp.shop.example")
ANYMAIL: dict[str, object] = {}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": True,
    "formatters": {"verbose": {"format": "%(levelname)s %(asctime)s %(module)s %(process)d %(thread)d %(message)s"}},
    "handlers": {"console": {"level": "DEBUG", "class": "logging.StreamHandler", "formatter": "verbose"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "django.db.backends": {"level": "ERROR", "handlers": ["console"], "propagate": False},
        "django.security.DisallowedHost": {"level": "ERROR", "handlers": ["console"], "propagate": False},
    },
}
