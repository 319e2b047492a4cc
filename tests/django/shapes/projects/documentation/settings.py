"""Several databases, none of which is `default`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.django.shapes.projects import common

BASE_DIR = Path(__file__).resolve().parent.parent
SQLITE = "django.db.backends.sqlite3"
DEBUG = False
SECRET_KEY = common.SECRET_KEY
ALLOWED_HOSTS = ["docs.example"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {},
    "auth_db": {"ENGINE": SQLITE, "NAME": BASE_DIR / "auth.sqlite3"},
    "primary": {"ENGINE": SQLITE, "NAME": BASE_DIR / "primary.sqlite3"},
    "replica": {"ENGINE": SQLITE, "NAME": BASE_DIR / "primary.sqlite3", "TEST": {"MIRROR": "primary"}},
}
DATABASE_ROUTERS = ["project.routers.AuthRouter", "project.routers.PrimaryReplicaRouter"]
INSTALLED_APPS = [*common.APPS[1:3], *common.APPS[4:], "django_lifesigns"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
MIDDLEWARE = [common.PROBES, common.SECURITY, *common.MIDDLEWARE]
TEMPLATES = common.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
STATIC_URL = "static/"
# In the image of the web server, and in none of the application's.
STATIC_ROOT = BASE_DIR / "static"
