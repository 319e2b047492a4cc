"""Which processes share results: all of this project on its host that have the same targets."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connections

from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.settings.conf import Conf

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
USER_INFO = re.compile(r"(?<=://)[^/\s]*@")


def scope(conf: Conf) -> dict[str, Any]:
    """Return the keywords of `lifesigns.Engine` for that."""
    # What one test has found must not answer another one, let alone the server that runs beside them.
    if conf.share == "process" or is_under_test():
        return {}
    return {"share": "host", "application": application(), "store_path": conf.store_path}


def application() -> str:
    """Return a name that all processes of a project share, and no other project, checkout or set of targets.

    Native checks are kept apart by their targets, too; those in Python go through aliases such as `default`.
    """
    name = NOT_IN_NAMES.sub("", str(getattr(settings, "ROOT_URLCONF", "")).partition(".")[0])[:60] or "django"
    known = (_place(), _databases(), _caches(), getattr(settings, "CELERY_BROKER_URL", None))
    # The name stands in the log: not even a trace of a password belongs there.
    digest = hashlib.sha256(USER_INFO.sub("", repr(known)).encode())
    return f"{name}-{digest.hexdigest()[:12]}"


def _place() -> str:
    """Return where the project's code is: its settings may be in several modules, but in one package."""
    package = sys.modules.get(str(getattr(settings, "SETTINGS_MODULE", "")).partition(".")[0])
    return os.path.dirname(os.path.abspath(getattr(package, "__file__", None) or "settings"))


def _databases() -> list[tuple[str, ...]]:
    keys = ("ENGINE", "HOST", "PORT", "NAME")
    try:
        # As Django has completed them: it writes its defaults into the dicts of the settings.
        configured = sorted(connections.settings.items())
    except Exception:  # noqa: BLE001  # settings that Django cannot use are reported by the checks of the databases
        return []
    return [(alias, *(str(options.get(key)) for key in keys)) for alias, options in configured]


def _caches() -> list[tuple[str, str, str]]:
    aliases = settings.CACHES.items() if isinstance(settings.CACHES, Mapping) else ()
    return [
        (str(alias), str(options.get("BACKEND")), str(options.get("LOCATION")))
        for alias, options in sorted(aliases, key=str)
        if isinstance(options, Mapping)
    ]
