"""What the engine of the project says of one of the 22 checks."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.utils import format_check_result
from django_lifesigns.runtime.engine import on_request


def result_of(name: str) -> dict[str, Any]:
    """The result of the check that the settings know as `name`: of a run, or from the engine's cache."""
    built = on_request()
    shown = built.names.get(name)
    if shown is None:
        return format_check_result("skipped", f"LIFESIGNS leaves out the check {name!r}")
    return dict(built.engine.check(shown))
