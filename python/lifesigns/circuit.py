"""A circuit breaker around any function, with the rules of those around checks."""

from __future__ import annotations

from lifesigns import _core
from lifesigns.exceptions import CircuitOpenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal, ParamSpec, TypeVar

    from lifesigns.specs import Breaker

    P = ParamSpec("P")
    T = TypeVar("T")


class Circuit:
    """Refuses calls for a while after calls have failed. Safe to use from any thread, and after a fork.

    Args:
        breaker: when it opens and for how long, as `lifesigns.specs.Breaker` or a dict of its fields.
        longest_call: seconds after which a trial that has not ended is taken for lost, and another one may start.

    Raises:
        ValueError: a value is wrong.
    """

    def __init__(self, breaker: Breaker | Mapping[str, Any] | None = None, *, longest_call: float = 600.0) -> None:
        spec: Any = {} if breaker is None else breaker
        to_dict = getattr(spec, "to_dict", None)
        self._native = _core.Circuit(to_dict() if to_dict else dict(spec), longest_call)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, or raises: an `Exception` counts as a failure.

        Raises:
            CircuitOpenError: the circuit is open, or half-open and another call is the trial.
        """
        permit = self._native.acquire()
        if permit is None:
            raise CircuitOpenError(self._native.retry_after)
        with permit:
            return function(*args, **kwargs)

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """Whether calls go ahead (``half-open``: one, which decides)."""
        return self._native.state

    @property
    def failures(self) -> int:
        """How many calls in a row have failed."""
        return self._native.failures

    def reset(self) -> None:
        """Closed, as at the start."""
        self._native.reset()
