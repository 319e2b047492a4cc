"""A project as small as it gets, on SQLite and local memory.

With LIFESIGNS_DEMO_FULL=1 the settings in the file LIFESIGNS_DEMO_STACK come on top: `make demo FULL=1`.
For a look on one's own machine only: the key is public.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent

SECRET_KEY = "public, and good enough for a demo"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "demo.urls"
WSGI_APPLICATION = "demo.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django_lifesigns",
]
MIDDLEWARE = [
    "django_lifesigns.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HERE / "db.sqlite3"}}
LIFESIGNS: dict[str, object] = {}

if os.environ.get("LIFESIGNS_DEMO_FULL") == "1":
    globals().update(json.loads(Path(os.environ["LIFESIGNS_DEMO_STACK"]).read_text()))

# The user who runs the demo may see the details; others get statuses.
LIFESIGNS.setdefault("NETWORKS", ["127.0.0.1"])
