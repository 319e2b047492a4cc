"""A circuit breaker around any function, with the rules of those around checks."""

from __future__ import annotations

from contextlib import contextmanager

from lifesigns import _core
from lifesigns.exceptions import CircuitOpenError
from lifesigns.first_use import is_coroutine_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from typing import Any, Literal, ParamSpec, TypeVar

    from lifesigns.specs import Breaker

    P = ParamSpec("P")
    T = TypeVar("T")


class Circuit:
    """Refuses calls for a while after calls have failed. Safe to use from any thread, and after a fork.

    Args:
        breaker: when it opens and for how long, as `lifesigns.specs.Breaker` or a dict of its fields.
        longest_call: seconds after which a trial that has not ended counts as lost, and another one may start.
        failures: the classes of exceptions that count as failures. Others pass, and say nothing about the dependency.

    Raises:
        ValueError: an argument is wrong.
    """

    def __init__(
        self,
        breaker: Breaker | Mapping[str, Any] | None = None,
        *,
        longest_call: float = 600.0,
        failures: tuple[type[Exception], ...] = (Exception,),
    ) -> None:
        spec: Any = {} if breaker is None else breaker
        self._failures = failures
        to_dict = getattr(spec, "to_dict", None)
        self._native = _core.Circuit(to_dict() if to_dict else dict(spec), longest_call)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, or raise what it raises: see `failures` for what counts as one.

        Of an ``async def`` function it would only see the coroutine: see `acall`.

        Raises:
            CircuitOpenError: the circuit is open, or half-open and another call is the trial.
            TypeError: the function is an ``async def`` function.
        """
        if is_coroutine_function(function):
            raise TypeError("an async function is called with `await circuit.acall(function, ...)`")
        with self._permit():
            return function(*args, **kwargs)

    async def acall(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """`call` for an async function: what it returns or raises when it is awaited counts. Being cancelled does not.

        Raises:
            CircuitOpenError: the circuit is open, or half-open and another call is the trial.
        """
        with self._permit():
            return await function(*args, **kwargs)

    @contextmanager
    def _permit(self) -> Iterator[None]:
        permit = self._native.acquire()
        if permit is None:
            # While another call is the trial, it is not known when the next one may be made.
            raise CircuitOpenError(self._native.retry_after if self._native.state == "open" else None)
        try:
            yield
        except self._failures as error:
            permit.__exit__(Exception, error, None)
            raise
        except BaseException as error:
            # Of what is no `Exception` the native permit makes nothing.
            permit.__exit__(BaseException, error, None)
            raise
        permit.__exit__(None, None, None)

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """Return whether calls are allowed (``half-open``: one, the trial)."""
        return self._native.state

    @property
    def failures(self) -> int:
        """Return how many calls in a row have failed."""
        return self._native.failures

    def reset(self) -> None:
        """Close it, as at the start."""
        self._native.reset()
