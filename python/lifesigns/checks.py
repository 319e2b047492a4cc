"""Checks that modules declare with the decorator `lifesigns.check`, for engines to register."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps

from lifesigns import _core
from lifesigns.arguments import did_you_mean, list_of_names, refuse_arguments, register_options
from lifesigns.exceptions import DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Literal, ParamSpec, TypeVar

    from lifesigns.specs import Breaker

    Function = TypeVar("Function", bound=Callable[[], Any])
    P = ParamSpec("P")
    Result = TypeVar("Result")


class DeclaredCheck:
    """A callable, and the keywords of `Engine.register` with it; None: keywords of a check that is made elsewhere."""

    __slots__ = ("check", "options")

    def __init__(self, check: Callable[[], Any] | None, options: Mapping[str, Any]) -> None:
        self.check = check
        self.options = options


class RefusedCheck:
    """A declaration that was wrong: why, and whether the check was meant to be critical."""

    __slots__ = ("critical", "reason")

    def __init__(self, reason: str, critical: bool) -> None:
        self.reason = reason
        self.critical = critical


DECLARED: dict[str, DeclaredCheck] = {}
# By names that nothing else was declared under.
REFUSED: dict[str, RefusedCheck] = {}


class ToleratedImport:
    """The import of a module whose refused declarations are collected, and the names that it has declared so far."""

    __slots__ = ("declared", "errors")

    def __init__(self) -> None:
        self.errors: list[DeclarationError] = []
        self.declared: set[str] = set()


# Refused declarations are added to the last one in place of being raised, if there is one.
_tolerated: list[ToleratedImport] = []


@contextmanager
def tolerated() -> Iterator[list[DeclarationError]]:
    """Collect refused declarations in place of raising them, so that those below them in a module are still made.

    The module is imported for the first time: a name that it declares twice is a mistake, and no reload.
    """
    imported = ToleratedImport()
    _tolerated.append(imported)
    try:
        yield imported.errors
    finally:
        _tolerated.remove(imported)


def _explained(declare: Callable[P, Result]) -> Callable[P, Result]:
    """Have wrong arguments raise `DeclarationError`, also those of a name that Python itself would refuse."""
    code = declare.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @wraps(declare)
    def explain(*args: P.args, **options: P.kwargs) -> Result:
        try:
            return strict(*args, **options)
        except DeclarationError as error:
            if not _tolerated:
                raise
            _tolerated[-1].errors.append(error)
            # `@check` without parentheses has the function itself; else it comes next.
            return args[0] if args and callable(args[0]) else _unchanged  # type: ignore[return-value]

    def strict(*args: P.args, **options: P.kwargs) -> Result:
        name = args[0] if args else options.get("name")
        for option in options:
            if option not in known:
                raise _refuse(name, options, f"check has no argument {option!r}. {_nearest(option, known[1:])}")
        try:
            return declare(*args, **options)
        except (TypeError, ValueError) as error:
            raise _refuse(name, options, str(error)) from error

    return explain


@_explained
def check(
    name: str,
    *,
    critical: bool = True,
    scope: Literal["process", "host", "fleet"] | None = None,
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
        DeclarationError: an argument is wrong, or another function was declared under this name.
    """
    if not isinstance(name, str):  # `@check` without its parentheses would declare nothing, and say nothing
        raise ValueError('check takes the name of the check: @lifesigns.check("billing")')
    options = {
        "critical": critical,
        "scope": scope,
        "timeout": timeout,
        "ttl": ttl,
        "ready_max_age": ready_max_age,
        "breaker": breaker,
        "depends_on": _names("depends_on", depends_on),
        "failures_before_error": failures_before_error,
        "successes_before_healthy": successes_before_healthy,
        "imports": _names("imports", imports),
    }

    def declare(function: Function) -> Function:
        try:
            return declare_strictly(function)
        except DeclarationError as error:
            if not _tolerated:
                raise
            _tolerated[-1].errors.append(error)
            return function

    def declare_strictly(function: Function) -> Function:
        known = DECLARED.get(name)
        other = known.check if known else None
        if other is not None and other is not function and not _is_reloaded(name, other, function):
            names = f"{_qualified_name(other)} and {_qualified_name(function)}"
            raise _refuse(name, options, f"two checks are declared as {name!r}: {names}")
        if not callable(function):
            raise _refuse(name, options, f"check decorates a function, not a {type(function).__name__}")
        try:
            redeclare(name, function, options)
        except ValueError as error:
            raise _refuse(name, options, str(error)) from error
        if _tolerated:
            _tolerated[-1].declared.add(name)
        return function

    return declare


def _is_reloaded(name: str, former: Callable[[], Any], function: Callable[[], Any]) -> bool:
    """Return whether a function takes the place of its own former version, as when its module is reloaded."""
    is_twice = bool(_tolerated) and name in _tolerated[-1].declared
    return not is_twice and _qualified_name(former) == _qualified_name(function)


def _unchanged(function: Function) -> Function:
    return function


def redeclare(name: str, function: Callable[[], Any], options: Mapping[str, Any]) -> None:
    """Declare a check, in place of one of the same name if there is one; ValueError if an option is wrong."""
    # Parents may be declared later, and nothing is imported yet.
    refuse_arguments(name, function)
    checked = {key: value for key, value in options.items() if key not in ("depends_on", "imports")}
    _core.Engine(5.0, 30.0, 60.0).register_callable(name, 0, "", register_options(name, **checked))
    DECLARED[name] = DeclaredCheck(function, options)
    REFUSED.pop(name, None)


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


def _refuse(name: object, options: Mapping[str, Any], reason: str) -> DeclarationError:
    """Return what to raise for a wrong declaration, and remember it: engines report on a check of that name, too."""
    if not isinstance(name, str):
        return DeclarationError(reason)
    if name not in DECLARED:
        REFUSED[name] = RefusedCheck(reason, options.get("critical") is not False)
    return DeclarationError(reason, name)


def _names(what: str, names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(list_of_names(what, names))


def _nearest(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known) or f"Known are: {', '.join(known)}."


def _qualified_name(function: Callable[[], Any]) -> str:
    """Name a function by where it was defined: the same again when its module is reloaded."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
