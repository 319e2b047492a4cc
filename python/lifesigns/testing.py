"""For tests of applications: fake results, a frozen clock, and everything as it was before.

The pytest plugin `lifesigns.pytest_plugin` makes fixtures of these.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lifesigns import _core
from lifesigns.exceptions import CheckFailed
from lifesigns.frozen import FrozenClock, frozen_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lifesigns.engine import Engine
    from lifesigns.results import Status

__all__ = ["FrozenClock", "fake", "fake_result", "faked", "frozen_clock", "reset"]

STATUSES = ("healthy", "degraded", "error", "skipped")

# What undoes the fakes there are, the latest last.
_undo: list[Callable[[], None]] = []


def fake_result(
    status: Status = "healthy",
    message: str = "",
    *,
    details: Mapping[str, Any] | None = None,
    error_type: str | None = None,
) -> Callable[[], Any]:
    """Return a check that finds this, and does nothing else.

    Args:
        error_type: of an error: ``"TimeoutError"``, ``"ConnectionRefusedError"`` ...

    Raises:
        ValueError: there is no such status, or an `error_type` that is not an error's.
    """
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")
    if error_type is None:
        result = {"status": status, "message": message, "details": dict(details or {})}
        return lambda: result
    if status != "error":
        raise ValueError(f"error_type is for errors; the status is {status!r}")
    error = type(error_type, (CheckFailed,), {})

    def fail() -> None:
        raise error(message, details)

    return fail


def fake(engine: Engine, name: str, status: Status = "healthy", message: str = "", **more: Any) -> None:
    """Have a check of `engine` find this from its next run on, until `reset`; one that is not registered is added.

    It passes through everything that surrounds a check: circuit breaker, dependencies, probe servers, metrics. The
    arguments are those of `fake_result`.
    """
    check = fake_result(status, message, **more)
    real = engine._checks.get(name)
    if real is None:
        engine.register(name, check)
        return
    engine.replace(name, check)
    _undo.append(lambda: engine.replace(name, real))


@contextmanager
def faked(engine: Engine, name: str, status: Status = "healthy", message: str = "", **more: Any) -> Iterator[None]:
    """Have a registered check find this within a ``with`` block: see `fake`."""
    real = engine._checks[name]
    engine.replace(name, fake_result(status, message, **more))
    try:
        yield
    finally:
        engine.replace(name, real)


def reset() -> None:
    """Undo every fake and the frozen clock, and take back `drain`."""
    while _undo:
        _undo.pop()()
    FrozenClock.thaw()
    _core.undrain()
