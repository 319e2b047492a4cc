"""The helpers of the replaced application, as a few lines on top of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import wraps
from typing import Any

from django_lifesigns.calls import Calls, overran
from lifesigns import Circuit
from lifesigns.results import Result

# For what is cached and names no timeout of its own.
LONGEST = 60.0


def format_check_result(
    status: str, message: str, details: Mapping[str, Any] | None = None, duration_ms: float | None = None
) -> dict[str, Any]:
    """A result dict, of now."""
    result: dict[str, Any] = {"status": status, "message": message, "timestamp": datetime.now(timezone.utc).isoformat()}
    if details is not None:
        result["details"] = dict(details)
    if duration_ms is not None:
        result["duration_ms"] = duration_ms
    return result


def timeout_check(timeout_seconds: float = 5) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function that is to return within `timeout_seconds`, whatever thread calls it.

    One that overran gives an error dict at its timeout. It goes on, on a thread of its own, and the same call is not
    started a second time meanwhile.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        calls = Calls(function, timeout_seconds)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            result, returned = calls(*args, **kwargs).answer(refresh=True)
            return _timed_out(result, timeout_seconds) if overran(result) else returned

        call.timeout_seconds = timeout_seconds  # type: ignore[attr-defined]
        return call

    return decorate


def cache_health_check(
    cache_key_prefix: str, cache_ttl: float = 30
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function that returns a result dict, which is kept for `cache_ttl` seconds in the engine's cache.

    `cached` in it tells whether it was. What the function raises is not kept. The prefix is not used any more: the
    results of two functions can never be taken for each other.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        timeout_seconds = getattr(function, "timeout_seconds", LONGEST - 1) + 1
        calls = Calls(function, timeout_seconds, cache_ttl)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            result, returned = calls(*args, **kwargs).answer(refresh=False)
            if overran(result):
                return {**_timed_out(result, timeout_seconds), "cached": result["cached"]}
            return {**returned, "cached": result["cached"]} if isinstance(returned, Mapping) else returned

        call.timeout_seconds = timeout_seconds  # type: ignore[attr-defined]
        return call

    return decorate


class CircuitBreaker(Circuit):
    """A circuit breaker that opens after `failure_threshold` failures in a row, for `timeout_seconds` each time."""

    def __init__(self, failure_threshold: int = 3, timeout_seconds: float = 30) -> None:
        super().__init__({"failures": failure_threshold, "wait": timeout_seconds, "max_wait": timeout_seconds})
        self.failure_threshold = failure_threshold
        self.timeout_seconds = timeout_seconds

    @property
    def failure_count(self) -> int:
        """How many calls in a row have failed."""
        return self.failures


def _timed_out(result: Result, timeout_seconds: float) -> dict[str, Any]:
    message = f"Health check timed out after {timeout_seconds:g} seconds"
    if "timeout_seconds" not in result:
        message += f"; {result['message']}"
    return {
        **format_check_result("error", message, duration_ms=result["duration_ms"]),
        "error_type": "TimeoutError",
        "timeout_seconds": timeout_seconds,
    }
