"""A project as `startproject` makes it, with the app added: SQLite, local memory, nothing else configured."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

SECRET_KEY = "only-for-tests"
# Without ProbeMiddleware `manage.py check` warns of what would keep probes from being answered.
ALLOWED_HOSTS = ["*"]
APPEND_SLASH = False
ROOT_URLCONF = "tests.django.urls"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_lifesigns",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
# A file: the checks run on the engine's threads, each with a connection of its own to close. In memory where it can be:
# on a disk each commit waits for it.
MEMORY = Path("/dev/shm")
FOLDER = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
DATABASE = str(FOLDER / f"lifesigns-tests-{os.getpid()}.sqlite3")
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE, "TEST": {"NAME": DATABASE}}}
# A busy machine is no fault of the project.
LIFESIGNS = {"CHECKS": {"cpu_load": {"thresholds": {"degraded_above": 1000, "error_above": 1000}}}}
