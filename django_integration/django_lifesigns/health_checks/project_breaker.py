"""The circuit breakers of the replaced application, each bound to that of a check of the project's engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django_lifesigns.health_checks.circuit_breaker import CircuitBreaker, State, refusal
from django_lifesigns.runtime.engine import get_runtime
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import CircuitOpenError
from lifesigns.specs import Breaker

if TYPE_CHECKING:
    from lifesigns import Breaker as EngineBreaker


class ProjectBreaker(CircuitBreaker):
    """A circuit breaker around calls, which is open, too, while that of the engine's check is.

    To close it closes both. What else is set holds for its own calls and for the check's function.
    """

    def __init__(self, check: str) -> None:
        default = CATALOGUE[check].breaker or Breaker()
        super().__init__(default.failures or 3, default.wait or 30)
        self._check = check

    @property
    def state(self) -> State:
        """Whether calls are allowed, by this breaker and by that of the check."""
        own, breaker = super().state, self._of_the_check()
        return own if own != "closed" or breaker is None else breaker.state

    @state.setter
    def state(self, state: State) -> None:
        self._set_state(state)
        if state == "closed" and (breaker := self._of_the_check()):
            breaker.reset()

    @property
    def last_failure_time(self) -> float | None:
        """When a call failed last; while the check's breaker is open, when that was opened."""
        breaker = self._of_the_check()
        if super().state == "closed" and breaker and breaker.retry_after is not None:
            return time.time() + breaker.retry_after - self.timeout_seconds
        return super().last_failure_time

    @last_failure_time.setter
    def last_failure_time(self, at: float | None) -> None:
        self._set_last_failure_time(at)

    def reset(self) -> None:
        """Close it, and the breaker of the check, as at the start."""
        super().reset()
        if breaker := self._of_the_check():
            breaker.reset()

    def refused(self) -> dict[str, Any] | None:
        """Return the result of a check that is not run, since this circuit is open by itself; None if it is not."""
        return refusal(self._native.retry_after) if super().state == "open" else None

    def recovered(self) -> None:
        """Close this circuit: the check of the engine was no error."""
        if super().state != "closed":
            super().reset()

    @contextmanager
    def _permit(self) -> Iterator[None]:
        breaker = self._of_the_check()
        if breaker is not None and breaker.state == "open":
            raise CircuitOpenError(breaker.retry_after)
        with super()._permit():
            yield

    def _of_the_check(self) -> EngineBreaker | None:
        runtime = get_runtime()
        try:
            return runtime.engine.breaker(runtime.names.get(self._check, self._check))
        except (LookupError, ValueError):  # the settings leave out the check, or its breaker
            return None
