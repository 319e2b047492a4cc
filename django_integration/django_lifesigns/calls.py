"""Calls of any function, run by an engine: within a timeout, once for all who ask at the same time, with its cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from django_lifesigns.connections import returning_connections
from lifesigns import Engine
from lifesigns.results import Result

NAME = "call"
# A function that is called with ever other arguments must not keep an engine for each.
KEPT = 32


class Call:
    """One function with its arguments, as the only check of an engine."""

    def __init__(self, function: Callable[[], Any], timeout: float, ttl: float) -> None:
        self._function = function
        self._returned: Any = None
        self._raised: BaseException | None = None
        self._engine = Engine(timeout, ttl, max_stale=max(ttl, timeout), log=False)
        self._engine.register(NAME, returning_connections(self._run))

    def answer(self, *, refresh: bool) -> tuple[Result, Any]:
        """What the engine says of the call, and what the function returned; None if it has not returned in time.

        Raises what the function raised. That is not kept: who asks next calls again.
        """
        result = self._engine.check(NAME, refresh=refresh or self._raised is not None)
        if overran(result):
            return result, None
        if self._raised is not None:
            raise self._raised
        return result, self._returned

    def _run(self) -> bool:
        self._raised = None
        try:
            self._returned = self._function()
        except BaseException as error:
            self._raised = error
            raise
        return True


class Calls:
    """The calls of a function: those with the same arguments are the same call."""

    def __init__(self, function: Callable[..., Any], timeout: float, ttl: float = 0.001) -> None:
        def make(*args: Any, **kwargs: Any) -> Call:
            return Call(partial(function, *args, **kwargs), timeout, ttl)

        make()  # so that a wrong timeout or ttl is a ValueError here
        self._make = make
        self._kept = lru_cache(KEPT, typed=True)(make)

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        try:
            return self._kept(*args, **kwargs)
        except TypeError:  # an argument that cannot be hashed
            return self._make(*args, **kwargs)


def overran(result: Result) -> bool:
    """Whether the function has not returned: within the timeout, or since an earlier call."""
    return "timeout_seconds" in result or result.get("error_type") == "StillRunningError"
