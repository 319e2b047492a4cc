"""`CircuitBreaker`: the engine's circuit with the results and the attributes of the replaced application's."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal

from django_lifesigns.health_checks.texts import text_of
from lifesigns import Circuit, CircuitOpenError

State = Literal["closed", "open", "half-open"]

# What a dependency that cannot be reached makes its client raise.
FAILURES = (ConnectionError, TimeoutError, OSError)
# A wait that is over at once.
NO_WAIT = 1e-9


class CircuitBreaker(Circuit):
    """A circuit breaker that opens after `failure_threshold` failures in a row, for `timeout_seconds` each time.

    `ConnectionError`, `TimeoutError` and `OSError` are failures. `state`, `failure_count` and `last_failure_time` can
    be set; what is set governs the calls after that.
    """

    def __init__(self, failure_threshold: int = 3, timeout_seconds: float = 30) -> None:
        super().__init__(_options(failure_threshold, timeout_seconds), failures=FAILURES)
        self.failure_threshold = failure_threshold
        self.timeout_seconds = timeout_seconds
        self._last_failure_time: float | None = None
        # What was set beyond the failures that the engine has counted.
        self._more_failures = 0
        # Whether its wait is only what is left of one: it is replaced once its trial has ended.
        self._is_makeshift = False

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns; an error dict where the circuit is open or the function fails.

        Exceptions that are no failures pass.
        """
        try:
            result = super().call(function, *args, **kwargs)
        except CircuitOpenError as error:
            return refusal(error.retry_after, self.state)
        except FAILURES as error:
            return self._failed(error)
        self._succeeded()
        return result

    async def acall(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """`call` for an async function."""
        try:
            result = await super().acall(function, *args, **kwargs)
        except CircuitOpenError as error:
            return refusal(error.retry_after, self.state)
        except FAILURES as error:
            return self._failed(error)
        self._succeeded()
        return result

    @property
    def state(self) -> State:
        """Whether calls are allowed (``half-open``: one, the trial)."""
        return super().state

    @state.setter
    def state(self, state: State) -> None:
        self._set_state(state)

    @property
    def failure_count(self) -> int:
        """How many calls in a row have failed."""
        return self.failures and self.failures + self._more_failures

    @failure_count.setter
    def failure_count(self, count: int) -> None:
        self._rebuild(self._native.state, count, self._last_failure_time)

    @property
    def last_failure_time(self) -> float | None:
        """When a call failed last, in seconds since 1970; None if none has since the circuit was closed."""
        return self._last_failure_time

    @last_failure_time.setter
    def last_failure_time(self, at: float | None) -> None:
        self._set_last_failure_time(at)

    def reset(self) -> None:
        """Close it, as at the start."""
        self._rebuild("closed", 0, None)

    def _set_state(self, state: State) -> None:
        if state not in ("closed", "open", "half-open"):
            raise ValueError(f"state must be 'closed', 'open' or 'half-open', not {state!r}")
        self._rebuild(state, self.failure_count, self._last_failure_time)

    def _set_last_failure_time(self, at: float | None) -> None:
        # An open circuit waits from this time on, also where its wait was over by another.
        state: State = "closed" if self._native.state == "closed" else "open"
        self._rebuild(state, self.failure_count, at)

    def _failed(self, error: Exception) -> dict[str, Any]:
        self._last_failure_time = time.time()
        if self._is_makeshift:  # it waits in full from now on
            self._replace(self._circuit(self.failure_threshold, self.timeout_seconds))
        message = f"Service unavailable: {text_of(error)}"
        return {"status": "error", "message": message, "circuit_state": self._native.state}

    def _succeeded(self) -> None:
        if self.failures:  # of other calls meanwhile
            return
        self._last_failure_time = None
        if self._is_makeshift:
            self._replace(self._circuit(0, self.timeout_seconds))

    def _rebuild(self, state: State, failures: int, last_failure_time: float | None) -> None:
        """Bring the engine's circuit into this state: it has no setters, but it can be made to count failures."""
        self._last_failure_time = last_failure_time
        if state == "closed":
            counted = max(0, min(failures, self.failure_threshold - 1))
            self._replace(self._circuit(counted, self.timeout_seconds))
        else:
            counted, wait = self.failure_threshold, NO_WAIT
            if state == "open" and last_failure_time is not None:
                wait = max(NO_WAIT, last_failure_time + self.timeout_seconds - time.time())
            self._replace(self._circuit(counted, wait))
            self._is_makeshift = True
        self._more_failures = failures - counted

    def _replace(self, circuit: Circuit) -> None:
        self._native = circuit._native
        self._is_makeshift = False
        self._more_failures = 0

    def _circuit(self, failures: int, wait: float) -> Circuit:
        """Return a circuit that has counted so many failures just now."""
        circuit = Circuit(_options(self.failure_threshold, wait))
        for _ in range(failures):
            with suppress(OSError):
                circuit.call(_fail)
        return circuit


def refusal(retry_after: float | None, state: State = "open") -> dict[str, Any]:
    """Return the result of a call that is not made, since the circuit is open, or another call is its trial."""
    if state == "half-open":
        message = "Circuit breaker half-open, failing fast. A trial call is running"
        return {"status": "error", "message": message, "circuit_state": state}
    message = f"Circuit breaker open, failing fast. Retry after {retry_after or 0:.0f}s"
    return {"status": "error", "message": message, "circuit_state": "open"}


def _options(failures: int, wait: float) -> dict[str, Any]:
    return {"failures": failures, "wait": wait, "max_wait": wait}


def _fail() -> None:
    raise OSError
