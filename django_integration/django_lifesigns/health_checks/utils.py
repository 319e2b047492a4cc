"""The helpers of the replaced application, as a few lines on top of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache, wraps
from typing import Any

from django_lifesigns.checks.connections import returning_connections
from lifesigns import Circuit, Job, JobError

# For what is cached and names no timeout of its own.
LONGEST = 60.0
# A function that is called with ever other arguments must not keep a job for each.
KEPT = 32


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

    One that overran gives an error dict at its timeout, and continues on a thread of its own.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        Job(function, timeout=timeout_seconds)  # so that a wrong timeout is a ValueError here

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                outcome = _job(function, args, kwargs, timeout_seconds, 0).run()
            except (TimeoutError, JobError) as error:
                return _timed_out(error, timeout_seconds)
            return outcome.returned()

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
    """What a function returned or raised, told apart from what its job raises."""

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


def _timed_out(error: Exception, timeout_seconds: float) -> dict[str, Any]:
    message = f"Health check timed out after {timeout_seconds:g} seconds"
    if isinstance(error, JobError):
        message += f"; {error}"
    return {
        **format_check_result("error", message, duration_ms=timeout_seconds * 1_000),
        "error_type": "TimeoutError",
        "timeout_seconds": timeout_seconds,
    }
