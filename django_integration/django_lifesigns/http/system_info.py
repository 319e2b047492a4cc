"""What runs here: versions, host, process and environment. For authorized callers only."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from typing import Any

import django
from django.conf import settings

import lifesigns


def system_info(database: Mapping[str, Any]) -> dict[str, Any]:
    """`database` is the result of the check of the database, which knows the version of its server."""
    return {
        "django_version": django.get_version(),
        "python_version": platform.python_version(),
        "lifesigns_version": lifesigns.__version__,
        "database_version": database.get("details", {}).get("database_version"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        # Many projects have such a setting; the others distinguish environments by the module of their settings.
        "environment": str(getattr(settings, "ENVIRONMENT", None) or os.environ.get("DJANGO_SETTINGS_MODULE", "")),
    }
