"""What the project's engine says of one of the 22 checks, in the form that the replaced application gave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django_lifesigns.health_checks.utils import format_check_result
from django_lifesigns.runtime.engine import on_request

if TYPE_CHECKING:
    from django_lifesigns.health_checks.project_breaker import ProjectBreaker


def result_of(name: str, breaker: ProjectBreaker | None = None) -> dict[str, Any]:
    """Run the check that the settings know as `name`, or wait for the run in progress, and return its result.

    While `breaker` is open the check is not run.
    """
    if breaker is not None and (refused := breaker.refused()):
        return refused
    runtime = on_request()
    shown = runtime.names.get(name)
    if shown is None:
        return format_check_result("skipped", f"LIFESIGNS leaves out the check {name!r}")
    result = as_before(runtime.engine.check(shown, refresh=True))
    if breaker is not None and result["status"] != "error":
        breaker.recovered()
    return result


def as_before(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result with the keys of the replaced application beside those of the engine.

    The details of an error have `error_type`, and `connection_status`: whether the dependency was reached.
    """
    details = dict(result.get("details") or {})
    if result["status"] == "error":
        error_type = result.get("error_type")
        details.setdefault("error_type", error_type or "CheckFailed")
        details.setdefault("connection_status", "failed" if error_type else "connected")
    return {**result, "details": details} if details else dict(result)
