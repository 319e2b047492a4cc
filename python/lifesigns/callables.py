"""The Python callables of all engines, by the numbers that the engine knows them by."""

from __future__ import annotations

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_functions: dict[int, Callable[[], Any]] = {}


def remember(callable_id: int, function: Callable[[], Any]) -> None:
    """Makes `function` known to the threads."""
    _functions[callable_id] = function


# The callable of a number; None once its engine is gone.
known = _functions.get


def identity(function: Callable[[], Any]) -> str:
    """What a callable is in every process that runs the same code: its name and where it was written."""
    inner: Any = function
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    inner = inner if hasattr(inner, "__qualname__") else type(inner)
    code = getattr(inner, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if code else ""
    return f"{inner.__module__}.{inner.__qualname__} {place}"


def forget(callables: dict[str, int]) -> None:
    """Forgets the callables of an engine that is gone."""
    for callable_id in callables.values():
        _functions.pop(callable_id, None)


def start_threads(callable_ids: list[int]) -> None:
    """Starts as many threads as it takes to run these callables at once, beside those that run already."""
    missing = _core.reserve_threads(callable_ids)
    if missing:
        from lifesigns.lanes import start

        for _ in range(missing):
            start()
