"""Runs further checks of the replaced application under the engine's deadline, each giving a result dict."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django_lifesigns.health_checks.utils import format_check_result, timeout_check
from django_lifesigns.targets.context import NoTargetError, WrongTargetError

Check = Callable[[], dict[str, Any]]


def guarded(timeout_seconds: float) -> Callable[[Check], Check]:
    """Decorate a function that returns a result dict: whatever it raises is a result, too.

    `NoTargetError` is skipped, and says what would configure it. Of other exceptions the class is shown.
    """

    def decorate(function: Check) -> Check:
        @wraps(function)
        def call() -> dict[str, Any]:
            started = time.monotonic()
            try:
                result = function()
            except NoTargetError as error:
                result = format_check_result("skipped", str(error))
            except Exception as error:  # noqa: BLE001  # whatever a client library raises
                # Of a wrong setting in our own words; the texts of clients may hold a password.
                text = str(error) if isinstance(error, WrongTargetError) else f"Failed ({type(error).__name__})"
                details = {"error_type": type(error).__name__, "connection_status": "failed"}
                result = format_check_result("error", text, details)
            return {**result, "duration_ms": round((time.monotonic() - started) * 1_000, 2)}

        return timeout_check(timeout_seconds)(call)

    return decorate
