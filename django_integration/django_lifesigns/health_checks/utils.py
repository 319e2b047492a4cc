"""The helpers of the replaced application, as a few lines on top of the engine."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache, partial, wraps
from typing import Any

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.health_checks.circuit_breaker import CircuitBreaker
from django_lifesigns.health_checks.texts import text_of
from lifesigns import Job, JobError

__all__ = ["CircuitBreaker", "cache_health_check", "format_check_result", "timeout_check"]

# For what is cached and names no timeout of its own.
LONGEST = 60.0
# A function that is called with ever other arguments must not keep a job for each.
KEPT = 32


def format_check_result(
    status: str, message: str, details: Mapping[str, Any] | None = None, duration_ms: float | None = None
) -> dict[str, Any]:
    """Return a result dict, of now; without details that are empty, and with a rounded duration."""
    result: dict[str, Any] = {"status": status, "message": message, "timestamp": datetime.now(timezone.utc).isoformat()}
    if details:
        result["details"] = dict(details)
    if duration_ms is not None:
        result["duration_ms"] = round(duration_ms, 2)
    return result


def timeout_check(
    timeout_seconds: float = 5, *, copy_context: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that is to return within `timeout_seconds`, whatever thread calls it.

    It runs on a thread of the engine's. One that overruns gives an error dict at its timeout, and continues there; one
    that raises a `ConnectionError` or an `OSError` gives an error dict, too. Other exceptions pass.

    Args:
        timeout_seconds: how long a call may take.
        copy_context: run it in a copy of the caller's `contextvars` context. Otherwise it sees none of the caller's
            context variables, such as its language.

    Raises:
        ValueError: the timeout is wrong.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        Job(function, timeout=timeout_seconds)  # so that a wrong timeout is a ValueError here

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            run = partial(contextvars.copy_context().run, function) if copy_context else function
            try:
                outcome = _job(run, args, kwargs, timeout_seconds, 0).run()
            except (TimeoutError, JobError) as error:
                return _timed_out(error, timeout_seconds)
            if isinstance(outcome.error, OSError):
                result = format_check_result("error", f"Connection failed: {text_of(outcome.error)}")
                return {**result, "error_type": type(outcome.error).__name__}
            return outcome.returned()

        call.timeout_seconds = timeout_seconds  # type: ignore[attr-defined]
        return call

    return decorate


def cache_health_check(
    cache_key_prefix: str, cache_ttl: float = 30
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that returns a result dict, which is kept for `cache_ttl` seconds in the engine's cache.

    `cached` in it says whether it was. What the function raises is not kept. The prefix is not used any more: the
    results of two functions can never be taken for each other. A kept result is for all callers, so the function sees
    the context variables of none of them.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        timeout_seconds = getattr(function, "timeout_seconds", LONGEST - 1) + 1

        def make(*args: Any, **kwargs: Any) -> Job[_Outcome]:
            return _job(function, args, kwargs, timeout_seconds, cache_ttl)

        make()  # so that a wrong ttl is a ValueError here
        kept = lru_cache(KEPT, typed=True)(make)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                job = kept(*args, **kwargs)
            except TypeError:  # an argument that cannot be hashed
                job = make(*args, **kwargs)
            try:
                result = job.result()
                if result.cached and result.value.error is not None:
                    result = job.result(refresh=True)
            except (TimeoutError, JobError) as error:
                return {**_timed_out(error, timeout_seconds), "cached": False}
            returned = result.value.returned()
            return {**returned, "cached": result.cached} if isinstance(returned, Mapping) else returned

        call.timeout_seconds = timeout_seconds  # type: ignore[attr-defined]
        return call

    return decorate


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a function returned or raised, apart from what its job raises."""

    value: Any = None
    error: Exception | None = None

    def returned(self) -> Any:
        """Return the value, or raise the exception."""
        if self.error is not None:
            raise self.error
        return self.value


def _job(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float, ttl: float
) -> Job[_Outcome]:
    def run() -> _Outcome:
        try:
            return _Outcome(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # it is the caller's
            return _Outcome(error=error)

    return Job(returning_connections(run), timeout=timeout, ttl=ttl)


def _timed_out(error: Exception, timeout_seconds: float) -> dict[str, Any]:
    message = f"Health check timed out after {timeout_seconds:g} seconds"
    if isinstance(error, JobError):
        message += f"; {error}"
    return {
        **format_check_result("error", message, duration_ms=timeout_seconds * 1_000),
        "error_type": "TimeoutError",
        "timeout_seconds": timeout_seconds,
    }
