"""What a callable returned or raised, as the engine takes it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping

from lifesigns import _core
from lifesigns.exceptions import CheckDegraded, CheckFailed
from lifesigns.plain import TooLargeError, clean, is_text, plain
from lifesigns.redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    # What completes the call and returns the next one to make: token, callable, timeout; and what it is given.
    Answer = tuple[Callable[[int, int, Any], tuple[int, int, float]], Any]

STATUSES = ("healthy", "degraded", "error", "skipped")
MAX_MESSAGE = 1_000
# Searched for secrets before it is cut: half a secret is not recognised any more.
MAX_READ = 20_000
# What else stands for a status elsewhere, and the status that is meant.
_MEANT = {
    **dict.fromkeys(("unhealthy", "fail", "failed", "failing", "failure", "down", "critical"), "error"),
    **dict.fromkeys(("warn", "warning"), "degraded"),
    **dict.fromkeys(("ok", "pass", "passed", "passing", "up"), "healthy"),
}
OWN_FILES = __file__.replace("\\", "/").rpartition("/")[0] + "/"

_HEALTHY = (_core.job_done, ("healthy", "", None))


def returned(value: Any, timeout: float) -> Answer:
    """Encode a return value: None and True are healthy, False is an error, a str is a status or a message."""
    if value is None or value is True:
        return _HEALTHY
    if value is False:
        return _core.job_done, ("error", "The check returned False", None)
    if is_text(value):
        # Of an enum's member the text that it is, not how it is shown.
        text = str.__str__(value) if isinstance(value, str) else str(value)
        if text in STATUSES:
            return _core.job_done, (text, "", None)
        if (meant := _meant(text)) and meant != "healthy":
            return _core.job_returned, f"{text.strip()!r}, which is no status: is {meant!r} meant?"
        return _core.job_done, ("healthy", message_of(text), None)
    if isinstance(value, Coroutine):
        import asyncio

        # The engine reports the timeout a moment earlier; this only cancels what is left of the run.
        return returned(asyncio.run(_limited(value, timeout + 0.02)), timeout)
    if isinstance(value, Mapping):
        try:
            return _of_mapping(value)
        except _MeaninglessError as error:
            return _core.job_returned, str(error)
    return _core.job_returned, f"{type(value).__name__}, not a result dict, bool, str or None"


def stated(error: CheckFailed | CheckDegraded) -> Answer:
    """Encode an exception whose text is meant to be shown."""
    text = message_of(str(error))
    try:
        details = plain(error.details) if isinstance(error.details, Mapping) else None
    except TooLargeError as large:
        details = {"note": f"left out: {large}"}
    if isinstance(error, CheckDegraded):
        return _core.job_done, ("degraded", text, details)
    return _core.job_failed, (type(error).__name__, text, details)


def raised(error: BaseException) -> tuple[str, str | None]:
    """Return the class of an exception and where it was raised. Not its text, which may hold a password."""
    return type(error).__name__, _location(error.__traceback__)


def message_of(text: str) -> str:
    """Return a text as it may be shown: bounded, printable, without credentials."""
    return redact(clean(text[:MAX_READ]))[:MAX_MESSAGE] if text else ""


async def _limited(coroutine: Coroutine[Any, Any, Any], timeout: float) -> Any:
    import asyncio

    return await asyncio.wait_for(coroutine, timeout)


class _MeaninglessError(ValueError):
    """What was returned instead of a result."""


def _of_mapping(result: Mapping[Any, Any]) -> Answer:
    """Encode a result dict."""
    status, message, details = result.get("status"), result.get("message", ""), result.get("details")
    if "status" not in result:
        raise _MeaninglessError(f"a dict without 'status', which is one of {', '.join(STATUSES)}")
    if status not in STATUSES:
        meant = f": is {word!r} meant?" if is_text(status) and (word := _meant(str(status))) else ""
        raise _MeaninglessError(f"a dict whose 'status' is not one of {', '.join(STATUSES)}{meant}")
    if not is_text(message) or not isinstance(details, (Mapping, type(None))):
        raise _MeaninglessError("a dict whose 'message' is not a str or whose 'details' is not a dict")
    try:
        return _core.job_done, (status, message_of(str(message)), plain(details) if details else None)
    except TooLargeError as error:
        raise _MeaninglessError(f"details with {error}") from error


def _meant(text: str) -> str | None:
    """Return the status that a text stands for in other words or letters; None if it is none."""
    word = text[:20].strip().lower()
    return word if word in STATUSES else _MEANT.get(word)


def _location(traceback: TracebackType | None) -> str | None:
    """Return file, line and function of the innermost frame that is neither ours nor the standard event loop's."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        path = code.co_filename.replace("\\", "/")
        if not path.startswith(OWN_FILES) and "/asyncio/" not in path:
            found = f"{path.rsplit('/', 1)[-1]}:{traceback.tb_lineno} ({code.co_name})"
        traceback = traceback.tb_next
    return found
