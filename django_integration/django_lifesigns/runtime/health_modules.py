"""Imports the modules in which the project's apps declare checks of their own."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections

from lifesigns.answers import raised
from lifesigns.redaction import redact

logger = logging.getLogger("django_lifesigns")

# Of each installed app: where it declares its checks, as `admin` is where it declares its admin pages.
MODULE = "health"
# In the source, or in what is compiled from it: `import lifesigns`, `from django_lifesigns ...`, a comment.
MENTION = b"lifesigns"


def import_health_modules() -> None:
    """Import the module `health` of each installed app that declares checks there; the others are none of ours.

    Projects have modules of that name already, and importing one may do anything. One that mentions this package has
    opted in. If its import fails, that is logged; connections that it has opened are closed, since a server may fork
    this process.
    """
    open_before = {connection.alias for connection in _open_connections()}
    for app in apps.get_app_configs():
        name = f"{app.name}.{MODULE}"
        if not _has_opted_in(name):
            continue
        try:
            import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it does, the application starts
            error_type, place = raised(error)
            where = f"{error_type} at {place}" if place else error_type
            logger.warning("health checks: %s cannot be imported (%s); the checks in it are missing", name, where)
            logger.debug("health checks: %s\n%s", name, redact(traceback.format_exc()))
    for connection in _open_connections():
        if connection.alias not in open_before:
            connection.close()


def _has_opted_in(name: str) -> bool:
    """Return whether there is a module of that name, or a package with a module, whose code mentions this package."""
    try:
        spec = find_spec(name)
        loader: Any = spec and spec.loader
        if spec is None or loader is None or spec.origin is None:
            return False
        files = [spec.origin, *(str(path) for place in spec.submodule_search_locations or () for path in _code(place))]
        return any(MENTION in loader.get_data(file) for file in files)
    except Exception:  # noqa: BLE001  # an app that is no package, a loader of another kind, a file that cannot be read
        return False


def _code(folder: str) -> Iterator[Path]:
    return Path(folder).glob("*.py")


def _open_connections() -> list[Any]:
    with suppress(Exception):  # settings of databases that are wrong are reported elsewhere
        return [
            connection for connection in connections.all(initialized_only=True) if connection.connection is not None
        ]
    return []
