"""What `manage.py check` says about the settings. Connects to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from django_lifesigns.callables.dotted import Dotted
from django_lifesigns.conf import read
from django_lifesigns.discovery import discover
from django_lifesigns.engine import build
from django_lifesigns.problems import WRONG_OPTION, Problem


def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Every problem of `LIFESIGNS` and of the settings that name the targets, as an error or a warning."""
    built = build(read())
    return [_message(problem) for problem in (*built.problems, *_not_importable())]


def _not_importable() -> list[Problem]:
    """Dotted paths that lead nowhere. What else goes wrong in such a module is shown as it is, with its traceback."""
    problems = []
    for found in discover(read())[0]:
        if isinstance(found.check, Dotted):
            try:
                import_string(found.check.path)
            except ImportError as error:
                where = f"LIFESIGNS['CHECKS'][{found.name!r}]"
                message = f"{where} names {found.check.path!r}, which cannot be imported."
                problems.append(Problem(WRONG_OPTION, message, str(error)))
    return problems


def _message(problem: Problem) -> CheckMessage:
    kind = Error if problem.id.startswith("E") else Warning
    return kind(problem.message, hint=problem.hint, id=f"lifesigns.{problem.id}")
