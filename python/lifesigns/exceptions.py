"""Every exception that Lifesigns raises, or that a callable may raise to say what it found."""

from __future__ import annotations

from lifesigns._core import UnknownCheckError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "CheckDegraded",
    "CheckFailed",
    "CircuitOpenError",
    "DeclarationError",
    "JobError",
    "NotStartedError",
    "StillRunningError",
    "UnknownCheckError",
]

# The extension module names itself without its package, by which `pickle` would not find the class again.
UnknownCheckError.__module__ = __name__


class _StatedResult(Exception):
    """A result that a callable raises; its text is shown, without credentials."""

    def __init__(self, text: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(text, details)
        self.text = text
        self.details = details

    def __str__(self) -> str:
        return str(self.text)


class CheckFailed(_StatedResult):
    """Raised by a callable: the check is in error, and `text` says why.

    Other exceptions are an error as well, but their texts, which may hold anything, are shown nowhere.
    """


class CheckDegraded(_StatedResult):
    """Raised by a callable: the check is degraded, and `text` says why."""


class DeclarationError(TypeError, ValueError):
    """A check is declared in a wrong way with `lifesigns.check`. `name` is the check's, None where it has none."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class CircuitOpenError(RuntimeError):
    """The call was not made.

    `retry_after`: seconds until it may be made, or None while another call is the trial that decides on that.
    """

    def __init__(self, retry_after: float | None) -> None:
        when = "" if retry_after is None else f": next attempt in {retry_after:.1f} s"
        super().__init__(f"Circuit breaker open{when}")
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[CircuitOpenError], tuple[float | None]]:
        return type(self), (self.retry_after,)


class JobError(RuntimeError):
    """A job has no value for a reason that is not its function's."""


class StillRunningError(JobError):
    """The function was not called, since an earlier call has overrun its timeout and not returned yet."""


class NotStartedError(JobError):
    """The function was not called, since no thread could take the call in time."""
