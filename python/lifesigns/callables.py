"""The Python callables of all engines, and the daemon threads that run them.

The engine never calls Python: these threads take the calls to make from it and complete them. A callable that never
returns holds up neither the others nor the end of the process.
"""

from __future__ import annotations

import os
import re

from lifesigns import _core
from lifesigns.arguments import unwrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from lifesigns.answers import Answer

# By the numbers that the engine knows them by.
_functions: dict[int, Callable[[], Any]] = {}
_names: dict[int, str] = {}
# What they look at, where the registration says so.
_servers: dict[int, str] = {}
# Whether it has been logged that threads cannot be started.
_is_short_of_threads: list[bool] = []


def remember(callable_id: int, function: Callable[[], Any], name: str, server: str | None = None) -> None:
    """Make a function known to the threads, by the name of its check; None leaves its server as it is."""
    _functions[callable_id] = function
    _names[callable_id] = name
    if server is not None:
        _servers[callable_id] = server


def forget(callable_ids: Iterable[int]) -> None:
    """Forget functions whose engine is gone."""
    for callable_id in callable_ids:
        _functions.pop(callable_id, None)
        _names.pop(callable_id, None)
        _servers.pop(callable_id, None)


def identity(function: Callable[[], Any]) -> str:
    """Return what a callable is in every process that runs the same code with the same arguments.

    Its name, where it was written, and a hash of what `functools.partial` gives it.
    """
    inner = unwrapped(function)
    inner = inner if hasattr(inner, "__qualname__") else type(inner)
    code = getattr(inner, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if code else ""
    return f"{inner.__module__}.{inner.__qualname__} {place}{_hash_of_arguments(function)}"


def _hash_of_arguments(function: Any) -> str:
    bound = []
    while hasattr(function, "func"):
        bound += [*getattr(function, "args", ()), *getattr(function, "keywords", {}).items()]
        function = function.func
    if not bound:
        return ""
    from hashlib import sha256

    try:
        shown = repr(bound)
    except Exception:  # noqa: BLE001  # an argument that cannot be shown distinguishes nothing
        return ""
    # Objects are shown by their addresses, which differ from process to process.
    return " " + sha256(re.sub(" at 0x[0-9a-fA-F]+", "", shown).encode("utf-8", "replace")).hexdigest()[:16]


def start_threads(callable_ids: list[int]) -> None:
    """Start as many threads as it takes to run these callables at once, beside those that run already.

    Where there can be no more threads, callables run on those that there are, and the next request tries again.
    """
    try:
        missing = _core.reserve_threads(callable_ids)
    except OSError:  # the engine has none either, and reports that itself
        return
    if not missing:
        return
    from lifesigns.threads import start_thread

    for started in range(missing):
        try:
            start_thread(_run_calls)
        except (RuntimeError, MemoryError) as error:
            _core.release_threads(missing - started)
            _log_shortage(error)
            return
    _is_short_of_threads.clear()


def _log_shortage(error: BaseException) -> None:
    if _is_short_of_threads:
        return
    _is_short_of_threads.append(True)
    import logging

    message = "Cannot start a thread for Python checks (%s); their last results stand until one can be started"
    logging.getLogger("lifesigns.checks").warning(message, error)


def _run_calls() -> None:
    """Run calls, one after the other, for the life of the process.

    A callable that forks may return in the child, too, where this is the only thread: it ends, and the child with it,
    which would keep the sockets of the application open for ever.
    """
    process = os.getpid()
    token, callable_id, timeout = _core.next_job()
    while True:
        try:
            complete, answer = _run(callable_id, timeout)
        except (SystemExit, KeyboardInterrupt) as error:
            if os.getpid() != process:
                raise
            # They end this thread, as they would end any. Another replaces it, since the engine, which may start the
            # next run by itself, cannot start one.
            _replace_this_thread()
            from lifesigns.answers import raised

            _core.thread_ends(token, callable_id, raised(error))
            raise
        if os.getpid() != process:
            return
        token, callable_id, timeout = complete(token, callable_id, answer)


def _replace_this_thread() -> None:
    from lifesigns.threads import start_thread

    try:
        start_thread(_run_calls)
    except (RuntimeError, MemoryError):  # the limit of threads, or interpreter exit
        _core.release_threads(1)


def _run(callable_id: int, timeout: float) -> Answer:
    # Imported by the engine's constructor: not for the first time here, beside imports of the application.
    from lifesigns import answers, failures

    function = _functions.get(callable_id)
    if function is None:
        return _core.job_withdrawn, None
    try:
        answer = answers.returned(function(), timeout)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the answer
        if _is_ending():
            return _core.job_unobserved, None
        about = _names.get(callable_id, ""), _servers.get(callable_id)
        try:
            return failures.answer(callable_id, about, function, timeout, error)
        except Exception:  # noqa: BLE001  # an exception that raises when it is looked at
            return _core.job_raised, (type(error).__name__, None)
    failures.forget(callable_id)
    return answer


def _is_ending() -> bool:
    """Whether the interpreter shuts down: executors and new threads are refused then, whatever is checked."""
    import threading

    return bool(getattr(threading, "_SHUTTING_DOWN", False))
