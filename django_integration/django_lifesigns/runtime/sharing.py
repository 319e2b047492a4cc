"""Which processes share results: all of this project on its host that have the same targets."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connections

from django_lifesigns.checks.connections import USER_INFO
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import NOT_BEGUN, WRONG_VALUE, Problem
from django_lifesigns.settings.project import project_name
from lifesigns.fleet import validate_fleet
from lifesigns.redaction import is_secret

# What Python checks reach by an alias such as `default`, beside the databases.
TARGETS = ("CACHES", "CHANNEL_LAYERS", "STORAGES", "MEDIA_ROOT", "MAILERS", "CELERY_BROKER_URL")


def scope(conf: Conf) -> dict[str, Any]:
    """Return the keywords of `lifesigns.Engine` for that."""
    # What one test has found must not answer another one, let alone the server that runs beside them.
    if conf.share == "process" or is_under_test():
        return {}
    return {"share": "host", "application": application(), "store_path": conf.store_path}


def fleet(conf: Conf, problems: list[Problem]) -> dict[str, Any]:
    """Return the keywords of `lifesigns.Engine` that join the hosts of this project, if they are to be.

    What is wrong with them is a problem, and each host is alone then.
    """
    if conf.share != "fleet":
        if conf.fleet:
            message = "LIFESIGNS['FLEET'] has no effect: LIFESIGNS['SHARE'] is not 'fleet'."
            problems.append(Problem(NOT_BEGUN, message, "Set LIFESIGNS['SHARE'] to 'fleet'."))
        return {}
    if not conf.fleet:
        message = "LIFESIGNS['SHARE'] is 'fleet', but LIFESIGNS['FLEET'] names no Redis where the hosts meet."
        problems.append(Problem(WRONG_VALUE, message, "Set LIFESIGNS['FLEET'] to {'URL': 'rediss://...'}."))
        return {}
    found = {"name": project_name(), **conf.fleet}
    try:
        validate_fleet(found)
    except ValueError as error:
        problems.append(Problem(WRONG_VALUE, f"LIFESIGNS['FLEET'] cannot be used: {error}.", "Correct it."))
        return {}
    return {} if is_under_test() else {"share": "fleet", "fleet": found}


def application() -> str:
    """Return a name that all processes of a project share, and no other project, checkout or set of targets.

    Native checks are kept apart by their targets, too; those in Python go through aliases such as `default`.
    """
    known = (_place(), _databases(), [_plain(getattr(settings, name, None)) for name in TARGETS])
    # The name stands in the log: not even a trace of a password belongs there.
    digest = hashlib.sha256(USER_INFO.sub("", repr(known)).encode())
    return f"{project_name()}-{digest.hexdigest()[:12]}"


def _place() -> str:
    """Return where the project's code is: its settings may be in several modules, but in one package."""
    package = sys.modules.get(str(getattr(settings, "SETTINGS_MODULE", "")).partition(".")[0])
    return os.path.dirname(os.path.abspath(getattr(package, "__file__", None) or "settings"))


def _databases() -> list[tuple[object, ...]]:
    keys = ("ENGINE", "HOST", "PORT", "NAME", "USER", "OPTIONS")
    try:
        # As Django has completed them: it writes its defaults into the dicts of the settings.
        configured = sorted(connections.settings.items())
    except Exception:  # noqa: BLE001  # settings that Django cannot use are reported by the checks of the databases
        return []
    return [(alias, *(_plain(options.get(key)) for key in keys)) for alias, options in configured]


def _plain(value: object) -> object:
    """Return a value of the settings as it is in every process: without secrets, which some backends make anew each
    time, and without the addresses of objects."""
    if isinstance(value, Mapping):
        items = ((str(key), item) for key, item in value.items())
        return sorted((key, _plain(item)) for key, item in items if not is_secret(key))
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bytes, int, float, os.PathLike)):
        return str(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
