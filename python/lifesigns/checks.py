"""Checks that modules declare with the decorator `lifesigns.check`, for engines to register."""

from __future__ import annotations

from lifesigns import _core
from lifesigns.arguments import register_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from lifesigns.specs import Breaker

    Function = TypeVar("Function", bound=Callable[[], Any])


class DeclaredCheck:
    """A callable, and the keywords of `Engine.register` with it; None: keywords of a check that is made elsewhere."""

    __slots__ = ("check", "options")

    def __init__(self, check: Callable[[], Any] | None, options: Mapping[str, Any]) -> None:
        self.check = check
        self.options = options


DECLARED: dict[str, DeclaredCheck] = {}


def check(
    name: str,
    *,
    critical: bool = True,
    timeout: float | None = None,
    ttl: float | None = None,
    ready_max_age: float | None = None,
    breaker: Breaker | Mapping[str, Any] | None = None,
    depends_on: Iterable[str] = (),
    failures_before_error: int = 1,
    successes_before_healthy: int = 1,
    imports: Iterable[str] = (),
) -> Callable[[Function], Function]:
    """Declare the decorated ``def`` or ``async def`` function as a check; it stays the function that it is.

    `Engine.register_declared` registers it; django_lifesigns does so by itself. The arguments are those of
    `Engine.register`; the packages in `imports` are imported when the check is registered.

    Raises:
        ValueError: an argument is wrong, or another function was declared under this name.
    """
    if not isinstance(name, str):  # `@check` without its parentheses would declare nothing, and say nothing
        raise ValueError('check takes the name of the check: @lifesigns.check("billing")')
    options = {
        "critical": critical,
        "timeout": timeout,
        "ttl": ttl,
        "ready_max_age": ready_max_age,
        "breaker": breaker,
        "depends_on": (depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        "failures_before_error": failures_before_error,
        "successes_before_healthy": successes_before_healthy,
        "imports": (imports,) if isinstance(imports, str) else tuple(imports),
    }

    def declare(function: Function) -> Function:
        known = DECLARED.get(name)
        other = known.check if known else None
        if other is not None and _qualified_name(other) != _qualified_name(function):
            names = f"{_qualified_name(other)} and {_qualified_name(function)}"
            raise ValueError(f"two checks are declared as {name!r}: {names}")
        redeclare(name, function, options)
        return function

    return declare


def redeclare(name: str, function: Callable[[], Any], options: Mapping[str, Any]) -> None:
    """Declare a check, in place of one of the same name if there is one; ValueError if an option is wrong."""
    # Parents may be declared later, and nothing is imported yet.
    checked = {key: value for key, value in options.items() if key not in ("depends_on", "imports")}
    _core.Engine(5.0, 30.0, 60.0).register_callable(name, 0, "", register_options(name, **checked))
    DECLARED[name] = DeclaredCheck(function, options)


def parents_first(names: Iterable[str]) -> list[str]:
    """Order the names of declared checks, each after those it depends on."""
    ordered: dict[str, None] = {}
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in DECLARED and name not in seen:
            seen.add(name)
            for parent in DECLARED[name].options.get("depends_on", ()):
                visit(parent)
            ordered[name] = None

    for name in names:
        visit(name)
    return list(ordered)


def _qualified_name(function: Callable[[], Any]) -> str:
    """Name a function by where it was defined: the same again when its module is reloaded."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
