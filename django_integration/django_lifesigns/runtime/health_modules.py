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

from django_lifesigns.settings.problems import WRONG_DECLARATION, Problem, import_failure
from lifesigns import DeclarationError
from lifesigns.answers import raised
from lifesigns.checks import DECLARED, REFUSED, RefusedCheck, tolerated
from lifesigns.redaction import redact

logger = logging.getLogger("django_lifesigns")

# Of each installed app: where it declares its checks, as `admin` is where it declares its admin pages.
MODULE = "health"
# In the source, or in what is compiled from it: `import lifesigns`, `from django_lifesigns ...`, a comment.
MENTION = b"lifesigns"

# What was found when the modules were imported, for `manage.py check`.
problems: list[Problem] = []
# By the name of a check, the module that declared it.
declared_in: dict[str, str] = {}


def import_health_modules() -> None:
    """Import the module `health` of each installed app that declares checks there; the others are none of ours.

    Projects have modules of that name already, and importing one may do anything. One that mentions this package has
    opted in. If its import fails, that is logged, and a problem; what it has declared until then stays. Connections
    that it has opened are closed, since a server may fork this process.
    """
    open_before = {connection.alias for connection in _open_connections()}
    for app in apps.get_app_configs():
        name = f"{app.name}.{MODULE}"
        if not _has_opted_in(name):
            continue
        known = set(DECLARED)
        with tolerated() as refused:
            try:
                import_module(name)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it does, the application starts
                _report(app.label, _failed(name, error), f"\n{redact(traceback.format_exc())}")
        for refusal in refused:
            _report(app.label, _refused(name, refusal))
        declared_in.update(dict.fromkeys(DECLARED.keys() - known, name))
    for connection in _open_connections():
        if connection.alias not in open_before:
            connection.close()


def _report(app: str, problem: Problem, shown: str = "") -> None:
    problems.append(problem)
    logger.log(problem.level, "health checks: %s%s", problem.message, shown)
    if problem.loses_checks:
        # An error in the report, too. Not a critical one: which checks are missing is unknown.
        name = f"{MODULE}.{app}"
        former = f"{REFUSED[name].reason} " if name in REFUSED else ""
        REFUSED[name] = RefusedCheck(f"{former}{problem.message}", critical=False)


def _refused(module: str, error: DeclarationError) -> Problem:
    which = "a check" if error.name is None else f"the check {error.name!r}"
    message = f"{module} declares {which} in a wrong way: {error}"
    # Another declaration of the name is good, and is what the report shows by it.
    is_lost = error.name not in REFUSED
    return Problem(WRONG_DECLARATION, message, "Correct it. The others are run.", loses_checks=is_lost)


def _failed(module: str, error: BaseException) -> Problem:
    _, place = raised(error)
    at = f" at {place}" if place else ""
    # The text of another's exception may hold anything; it is in the log, redacted.
    return Problem(
        WRONG_DECLARATION,
        f"{module} cannot be imported ({import_failure(error)}{at}).",
        "The log has the reason. The checks declared before that are run, those after it are missing.",
        loses_checks=True,
    )


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
