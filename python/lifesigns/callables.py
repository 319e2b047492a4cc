"""The threads that run Python callables, and what their return values mean.

The engine never calls Python. These threads ask it for the next call to make, make it and hand the answer back. They
are daemon threads: a callable that never returns holds up neither the others nor the end of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress

from lifesigns import _core
from lifesigns.plain import TooLargeError, clean, is_text, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

STATUSES = ("healthy", "degraded", "error", "skipped")
MAX_MESSAGE = 1_000
# Looked at for secrets before it is cut: half a secret is not recognised any more.
MAX_READ = 20_000

_functions: dict[int, Callable[[], Any]] = {}


def remember(callable_id: int, function: Callable[[], Any]) -> None:
    """Makes `function` known to the threads."""
    _functions[callable_id] = function


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
    for _ in range(_core.reserve_threads(callable_ids)):
        _start_thread()


def _start_thread() -> None:
    import threading

    threading.Thread(target=_serve, name="lifesigns-callable", daemon=True).start()


def _serve() -> None:
    while True:
        token, callable_id, timeout = _core.next_job()
        try:
            answer = _answer(_call(_functions[callable_id], timeout))
        except (SystemExit, KeyboardInterrupt) as error:
            # They end this thread, as they would end any. Another takes its place, since the engine, which may begin
            # the next run by itself, cannot start one; at interpreter exit nobody can.
            with suppress(RuntimeError):
                _start_thread()
            _core.job_done(token, callable_id, _raised(error))
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the answer
            answer = _raised(error)
        _core.job_done(token, callable_id, answer)


def _call(function: Callable[[], Any], timeout: float) -> Any:
    value = function()
    if isinstance(value, Coroutine):
        import asyncio

        # The engine reports the timeout a moment earlier; this only cancels what is left of the run.
        return asyncio.run(_limited(value, timeout + 0.02))
    return value


async def _limited(coroutine: Coroutine[Any, Any, Any], timeout: float) -> Any:
    import asyncio

    return await asyncio.wait_for(coroutine, timeout)


def _answer(value: Any) -> dict[str, Any]:
    """What a return value means. None and True are healthy, False is an error, a str is a status or a message."""
    if value is None or value is True:
        return _result("healthy", "", {})
    if value is False:
        return _result("error", "the check returned False", {})
    if is_text(value):
        text = str(value)
        return _result(text, "", {}) if text in STATUSES else _result("healthy", text, {})
    if not isinstance(value, Mapping):
        return {"returned": f"{type(value).__name__}, not a result dict, bool, str or None"}
    status, message, details = value.get("status"), value.get("message", ""), value.get("details")
    if status not in STATUSES:
        return {"returned": f"a dict whose 'status' is not one of {', '.join(STATUSES)}"}
    if not is_text(message) or not isinstance(details, (Mapping, type(None))):
        return {"returned": "a dict whose 'message' is not a str or whose 'details' is not a dict"}
    try:
        return _result(status, str(message), plain(details or {}))
    except TooLargeError as error:
        return {"returned": f"details with {error}"}


def _result(status: str, message: str, details: Any) -> dict[str, Any]:
    if message:
        from lifesigns.redaction import redact

        message = redact(clean(message[:MAX_READ]))[:MAX_MESSAGE]
    return {"result": {"status": status, "message": message, "details": details}}


def _raised(error: BaseException) -> dict[str, Any]:
    """The class of an exception and where it came from. Not its text: that may hold anything, a password too."""
    return {"raised": {"class": type(error).__name__, "location": _location(error.__traceback__)}}


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
