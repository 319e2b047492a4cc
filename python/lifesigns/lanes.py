"""The threads that run Python callables, and hand in what came of it.

The engine never calls Python. These threads ask it for the next call to make, make it and hand the answer back. They
are daemon threads: a callable that never returns holds up neither the others nor the end of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress

from lifesigns import _core, callables
from lifesigns.plain import TooLargeError, clean, is_text, plain
from lifesigns.redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    # What hands in the answer to a call, and gives the next call to make; the answer.
    Answer = tuple[Callable[[int, int, Any], tuple[int, int, float]], Any]

STATUSES = ("healthy", "degraded", "error", "skipped")
MAX_MESSAGE = 1_000
# Looked at for secrets before it is cut: half a secret is not recognised any more.
MAX_READ = 20_000

_HEALTHY = (_core.job_done, ("healthy", "", None))


def start() -> None:
    """Starts one more of these threads."""
    threading.Thread(target=_serve, name="lifesigns-callable", daemon=True).start()


def _serve() -> None:
    token, callable_id, timeout = _core.next_job()
    while True:
        try:
            hand_in, answer = _run(callable_id, timeout)
        except (SystemExit, KeyboardInterrupt) as error:
            # They end this thread, as they would end any. Another takes its place, since the engine, which may begin
            # the next run by itself, cannot start one; at interpreter exit nobody can.
            with suppress(RuntimeError):
                start()
            _core.thread_ends(token, callable_id, _cause(error))
            raise
        token, callable_id, timeout = hand_in(token, callable_id, answer)


def _run(callable_id: int, timeout: float) -> Answer:
    function = callables.known(callable_id)
    if function is None:
        return _core.job_withdrawn, None
    try:
        return _answer(function(), timeout)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the answer
        return _core.job_raised, _cause(error)


async def _limited(coroutine: Coroutine[Any, Any, Any], timeout: float) -> Any:
    import asyncio

    return await asyncio.wait_for(coroutine, timeout)


def _answer(value: Any, timeout: float) -> Answer:
    """What a return value means.

    None and True are healthy, False is an error, a str is a status or a message.
    """
    if value is None or value is True:
        return _HEALTHY
    if value is False:
        return _core.job_done, ("error", "the check returned False", None)
    if is_text(value):
        text = str(value)
        return _core.job_done, (text, "", None) if text in STATUSES else ("healthy", _message(text), None)
    if isinstance(value, Coroutine):
        import asyncio

        # The engine reports the timeout a moment earlier; this only cancels what is left of the run.
        return _answer(asyncio.run(_limited(value, timeout + 0.02)), timeout)
    if isinstance(value, Mapping):
        try:
            return _core.job_done, _parts(value)
        except _MeaninglessError as error:
            return _core.job_returned, str(error)
    return _core.job_returned, f"{type(value).__name__}, not a result dict, bool, str or None"


class _MeaninglessError(ValueError):
    """What was returned instead of a result."""


def _parts(result: Mapping[Any, Any]) -> tuple[str, str, dict[str, Any] | None]:
    """Status, message and details of a result dict."""
    status, message, details = result.get("status"), result.get("message", ""), result.get("details")
    if status not in STATUSES:
        raise _MeaninglessError(f"a dict whose 'status' is not one of {', '.join(STATUSES)}")
    if not is_text(message) or not isinstance(details, (Mapping, type(None))):
        raise _MeaninglessError("a dict whose 'message' is not a str or whose 'details' is not a dict")
    try:
        return status, _message(str(message)), plain(details) if details else None
    except TooLargeError as error:
        raise _MeaninglessError(f"details with {error}") from error


def _message(text: str) -> str:
    return redact(clean(text[:MAX_READ]))[:MAX_MESSAGE] if text else ""


def _cause(error: BaseException) -> tuple[str, str | None]:
    """The class of an exception and where it came from. Not its text: that may hold a password, too."""
    return type(error).__name__, _location(error.__traceback__)


def _location(traceback: TracebackType | None) -> str | None:
    """File, line and function of the innermost frame that is neither ours nor the standard library's event loop."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        path = code.co_filename.replace("\\", "/")
        if path != __file__ and "/asyncio/" not in path:
            found = f"{path.rsplit('/', 1)[-1]}:{traceback.tb_lineno} ({code.co_name})"
        traceback = traceback.tb_next
    return found
