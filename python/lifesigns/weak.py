"""Methods as callables of an engine, whose threads would keep their objects alive."""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    Value = TypeVar("Value")


def weakly(method: Callable[P, Value]) -> Callable[P, Value | None]:
    """Return a function that calls a bound method while its object is there, and does not keep it."""
    reference = weakref.WeakMethod(method)

    def call(*args: P.args, **kwargs: P.kwargs) -> Value | None:
        bound = reference()
        return None if bound is None else bound(*args, **kwargs)

    return call
