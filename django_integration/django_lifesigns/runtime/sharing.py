"""With whom a process of this project shares what it knows: with all of its host that have the same targets."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core import mail
from django.db import connections

from django_lifesigns.settings.conf import Conf

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
USER_INFO = re.compile(r"(?<=://)[^/\s]*@")


def scope(conf: Conf) -> dict[str, Any]:
    """The keywords of `lifesigns.Engine` that say so."""
    # What one test has found must not answer another one, let alone the server that runs beside them.
    if conf.share == "process" or is_under_test():
        return {}
    return {"share": "host", "application": application(), "store_path": conf.store_path}


def is_under_test() -> bool:
    """Whether this is a test run of Django's, which has an outbox in place of mail."""
    return hasattr(mail, "outbox")


def application() -> str:
    """The same in all processes of a project, also in commands; another one for another project, checkout or target.

    Native checks are kept apart by their targets, too; those in Python go through aliases such as `default`.
    """
    name = NOT_IN_NAMES.sub("", str(getattr(settings, "ROOT_URLCONF", "")).partition(".")[0])[:60] or "django"
    known = (_place(), _databases(), _caches(), getattr(settings, "CELERY_BROKER_URL", None))
    # The name stands in the log: not even a trace of a password belongs there.
    digest = hashlib.sha256(USER_INFO.sub("", repr(known)).encode())
    return f"{name}-{digest.hexdigest()[:12]}"


def _place() -> str:
    """Where the project's code is: its settings may be in several modules, but in one package."""
    package = sys.modules.get(str(getattr(settings, "SETTINGS_MODULE", "")).partition(".")[0])
    return os.path.dirname(os.path.abspath(getattr(package, "__file__", None) or "settings"))


def _databases() -> list[tuple[str, ...]]:
    # As Django has completed them: it writes its defaults into the dicts of the settings.
    keys = ("ENGINE", "HOST", "PORT", "NAME")
    return [(alias, *(str(options[key]) for key in keys)) for alias, options in sorted(connections.settings.items())]


def _caches() -> list[tuple[str, str, str]]:
    aliases = settings.CACHES.items() if isinstance(settings.CACHES, Mapping) else ()
    return [
        (str(alias), str(options.get("BACKEND")), str(options.get("LOCATION")))
        for alias, options in sorted(aliases, key=str)
        if isinstance(options, Mapping)
    ]
