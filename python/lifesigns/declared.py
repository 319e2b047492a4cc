"""Checks that modules declare with the decorator `lifesigns.check`, for engines to take in."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from lifesigns.specs import Breaker

    Function = TypeVar("Function", bound=Callable[[], Any])


class Declared:
    """A callable, and the keywords of `Engine.register` with it."""

    __slots__ = ("check", "options")

    def __init__(self, check: Callable[[], Any], options: Mapping[str, Any]) -> None:
        self.check = check
        self.options = options


CHECKS: dict[str, Declared] = {}


def check(
    name: str,
    *,
    critical: bool = True,
    timeout: float | None = None,
    ttl: float | None = None,
    breaker: Breaker | Mapping[str, Any] | None = None,
    depends_on: Iterable[str] = (),
    failures_before_error: int = 1,
    successes_before_healthy: int = 1,
) -> Callable[[Function], Function]:
    """Declares the decorated ``def`` or ``async def`` function as a check; it stays the function that it is.

    `Engine.register_declared` takes it in; django_lifesigns does so by itself. The arguments are those of
    `Engine.register`.

    Raises:
        ValueError: an argument is wrong, or another function was declared under this name.
    """
    options = {
        "critical": critical,
        "timeout": timeout,
        "ttl": ttl,
        "breaker": breaker,
        "depends_on": (depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        "failures_before_error": failures_before_error,
        "successes_before_healthy": successes_before_healthy,
    }

    def declare(function: Function) -> Function:
        known = CHECKS.get(name)
        if known is not None and _place(known.check) != _place(function):
            raise ValueError(f"two checks are declared as {name!r}: {_place(known.check)} and {_place(function)}")
        declare_again(name, function, options)
        return function

    return declare


def declare_again(name: str, function: Callable[[], Any], options: Mapping[str, Any]) -> None:
    """Declares a check in place of one of the same name, if there is one; ValueError if an option is wrong."""
    from lifesigns.engine import Engine

    # An engine knows best what is wrong. Parents may be declared later.
    Engine().register(name, function, **{**options, "depends_on": ()})
    CHECKS[name] = Declared(function, options)


def parents_first(names: Iterable[str]) -> list[str]:
    """The same names of declared checks, each after those it depends on."""
    ordered: dict[str, None] = {}
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in CHECKS and name not in seen:
            seen.add(name)
            for parent in CHECKS[name].options.get("depends_on", ()):
                visit(parent)
            ordered[name] = None

    for name in names:
        visit(name)
    return list(ordered)


def _place(function: Callable[[], Any]) -> str:
    """Where a function was defined. The same again when its module is reloaded."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
