"""Any function under the guards of the engine: a deadline, one call at a time for all callers, a value that is kept."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from lifesigns.engine import Engine
from lifesigns.exceptions import JobError, NotStartedError, StillRunningError
from lifesigns.first_use import is_coroutine_function
from lifesigns.weak import weakly

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from lifesigns.results import Result

Value = TypeVar("Value")
Awaited = TypeVar("Awaited")

NAME = "job"
# How many calls are remembered: a caller that waited for one finds its value, though others have ended since.
REMEMBERED = 16
# A ttl of nothing: the engine knows none below.
SHORTEST_TTL = 0.001


class JobResult(Generic[Value]):
    """The value of a function, whether it is that of an earlier call, and the seconds that the call took."""

    __slots__ = ("cached", "duration", "value")

    def __init__(self, value: Value, cached: bool, duration: float) -> None:
        self.value = value
        self.cached = cached
        self.duration = duration

    def __repr__(self) -> str:
        return f"JobResult(value={self.value!r}, cached={self.cached}, duration={self.duration:g})"


class Job(Generic[Value]):
    """A function that is called on a thread of the engine's, within its timeout, once for all who want its value now.

    Values and exceptions stay in this process: they are neither shared nor stored. Safe to use from any thread, from
    async code and after a fork.

    The function sees none of its callers' context variables, since its value is for all of them. One that needs a
    context is bound to it: ``functools.partial(contextvars.copy_context().run, function)``.

    Args:
        function: a ``def`` or ``async def`` function without arguments (`functools.partial` binds them).
        timeout: seconds that a call may take. One that takes longer continues on its thread, and the function is not
            called again before it returns.
        ttl: seconds for which a value is kept and returned again; exceptions are not kept. 0: each `run` calls, or
            waits for the call that is in progress.
        imports: packages that the function imports only when it is called: see `Engine.register`.

    Raises:
        ValueError: an argument is wrong.
    """

    @overload
    def __init__(
        self: Job[Awaited],
        function: Callable[[], Coroutine[Any, Any, Awaited]],
        *,
        timeout: float = ...,
        ttl: float = ...,
        imports: Iterable[str] = ...,
    ) -> None: ...
    @overload
    def __init__(
        self, function: Callable[[], Value], *, timeout: float = ..., ttl: float = ..., imports: Iterable[str] = ...
    ) -> None: ...
    def __init__(
        self,
        function: Callable[[], Any],
        *,
        timeout: float = 5.0,
        ttl: float = 0.0,
        imports: Iterable[str] = (),
    ) -> None:
        if not callable(function):
            raise ValueError(f"a job is a callable, not {type(function).__name__}")
        self._function: Any = function
        self._timeout = timeout
        for name, seconds in (("timeout", timeout), ("ttl", ttl)):
            if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
                raise ValueError(f"{name} must be a number of seconds, not {seconds!r}")
        if timeout <= 0:
            raise ValueError(f"timeout must be a number of seconds above 0, not {timeout}")
        if ttl < 0:
            raise ValueError(f"ttl must be a number of seconds from 0, not {ttl}")
        self._keeps = ttl > 0
        ttl = self._ttl = ttl or SHORTEST_TTL
        self._calls = itertools.count(1)
        # By the number of the call: its value, its exception.
        self._ended: dict[int, tuple[Any, Exception | None]] = {}
        self._has_failed = False
        self._engine = Engine(timeout, ttl, max_stale=max(ttl, timeout), log=False)
        call: Any = self._call_async if is_coroutine_function(function) else self._call
        self._engine.register(NAME, weakly(call), imports=imports)

    def run(self, *, refresh: bool = False, deadline: float | None = None) -> Value:
        """Return the value of the function, or raise its exception.

        Args:
            refresh: call it though its value is fresh.
            deadline: seconds to wait for its value at most, where that is less than its timeout; the call continues.
                0: start it, and do not wait.

        Raises:
            TimeoutError: it has not returned in time.
            StillRunningError: it was not called, since an earlier call has not returned.
            NotStartedError: it was not called, since no thread could take the call.
            JobError: it was not called, or ended its thread.
        """
        return self.result(refresh=refresh, deadline=deadline).value

    async def arun(self, *, refresh: bool = False, deadline: float | None = None) -> Value:
        """`run` for async code: blocks neither the event loop nor a thread of its executor."""
        return (await self.aresult(refresh=refresh, deadline=deadline)).value

    def result(self, *, refresh: bool = False, deadline: float | None = None) -> JobResult[Value]:
        """`run` for callers that want to know whether the value was kept, and how long the call took."""
        refresh = self._must_call(refresh)
        return self._of(self._engine.check(NAME, refresh=refresh, deadline=deadline), refresh, deadline)

    async def aresult(self, *, refresh: bool = False, deadline: float | None = None) -> JobResult[Value]:
        """`result` for async code."""
        refresh = self._must_call(refresh)
        return self._of(await self._engine.acheck(NAME, refresh=refresh, deadline=deadline), refresh, deadline)

    def _must_call(self, refresh: bool) -> bool:
        return refresh or not self._keeps or self._has_failed

    def _of(self, result: Result, refresh: bool, deadline: float | None) -> JobResult[Value]:
        # At a deadline the engine returns what it knows by then: that of an earlier call is no value of this one.
        is_old = result["cached"] and (refresh or result.get("age_seconds", 0.0) > self._ttl)
        if deadline is not None and (is_old or result.get("pending")):
            raise TimeoutError(f"No value within {deadline:g} s; the call continues")
        number = result.get("details", {}).get("call")
        if number is None:
            raise _no_value(result, self._timeout)
        if number not in self._ended:
            raise JobError("The value of this call is not remembered any more")
        value, error = self._ended[number]
        if error is not None:
            raise error
        return JobResult(value, result["cached"], result["duration_ms"] / 1_000)

    def _call(self) -> dict[str, Any]:
        try:
            value = self._function()
        except Exception as error:  # noqa: BLE001  # it is the caller's
            return self._end(None, error)
        return self._end(value, None)

    async def _call_async(self) -> dict[str, Any]:
        try:
            value = await self._function()
        except Exception as error:  # noqa: BLE001  # it is the caller's
            return self._end(None, error)
        return self._end(value, None)

    def _end(self, value: Any, error: Exception | None) -> dict[str, Any]:
        number = next(self._calls)
        self._has_failed = error is not None
        self._ended[number] = (value, error)
        self._ended.pop(number - REMEMBERED, None)
        return {"status": "healthy", "details": {"call": number}}


def _no_value(result: Result, timeout: float) -> Exception:
    """Return what to raise where the function has not returned."""
    error_type, message = result.get("error_type"), result["message"]
    if error_type == "TimeoutError":
        return TimeoutError(f"Timed out after {timeout:g} s")
    if error_type == "StillRunningError":
        return StillRunningError(message)
    if error_type == "NotStartedError" or result.get("pending"):
        return NotStartedError(message)
    return JobError(message)
