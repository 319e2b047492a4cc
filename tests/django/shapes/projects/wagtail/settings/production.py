"""Production: DEBUG off, and renditions in a cache of their own."""

from __future__ import annotations

from typing import Any

from tests.django.shapes.projects import common

from .base import *  # noqa: F403

DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["www.example.org"]
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "database_cache"},
    "renditions": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "TIMEOUT": 600},
}
SECURE_SSL_REDIRECT = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
