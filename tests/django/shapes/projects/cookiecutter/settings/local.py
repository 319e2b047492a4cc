"""Development: DEBUG, local memory, mail to a catcher in a container, tasks in the process itself."""

from __future__ import annotations

import os
from typing import Any

from tests.django.shapes.projects import common

from .base import *  # noqa: F403
from .base import INSTALLED_APPS, MIDDLEWARE

DEBUG = True
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["localhost", "0.0.0.0", "127.0.0.1"]
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": ""}
}
EMAIL_HOST = os.environ["EMAIL_HOST"]
EMAIL_PORT = os.environ["EMAIL_PORT"]
INSTALLED_APPS = [*INSTALLED_APPS, "debug_toolbar"]
INTERNAL_IPS = ["127.0.0.1", "10.0.2.2"]
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
MIDDLEWARE = [*MIDDLEWARE]
