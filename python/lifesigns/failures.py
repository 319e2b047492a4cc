"""What a callable's exception leads to: a second attempt, the answer of the check, its traceback in the log."""

from __future__ import annotations

import logging
import os
import traceback
from contextlib import suppress

from lifesigns import _core, first_use
from lifesigns.answers import MAX_READ, message_of, raised, returned, stated
from lifesigns.causes import MAX_CAUSES, missing_module, unreachable
from lifesigns.exceptions import CheckDegraded, CheckFailed
from lifesigns.plain import clean
from lifesigns.redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lifesigns.answers import Answer

logger = logging.getLogger("lifesigns.checks")

_STANDARD_LIBRARY = os.path.dirname(os.__file__).replace("\\", "/") + "/"

# By callable: the class and the place of the exception that was logged last.
_logged: dict[int, tuple[str, str | None]] = {}


def forget(callable_id: int) -> None:
    """Note that a callable returned: its next exception is a change, and is logged."""
    if _logged:
        _logged.pop(callable_id, None)


def answer(
    callable_id: int,
    about: tuple[str, str | None],
    function: Callable[[], Any],
    timeout: float,
    error: BaseException,
) -> Answer:
    """Encode the exception of a callable; a run that imports of other threads have spoilt is run once more first.

    `about` is the name of its check, and the server that it looks at, if that is known.
    """
    name, server = about
    if isinstance(error, Exception) and _logged.get(callable_id) != raised(error) and first_use.is_collision(error):
        try:
            with first_use.alone(timeout / 2, error):
                found = returned(function(), timeout)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as second:  # noqa: BLE001  # whatever it is, it is the answer
            error = second
        else:
            forget(callable_id)
            return found
    if isinstance(error, (CheckFailed, CheckDegraded)):
        forget(callable_id)
        return stated(error)
    if server and (text := unreachable(error, server)):
        # An outage: its event says all, and no code is to be mended.
        forget(callable_id)
        return _core.job_failed, (type(error).__name__, message_of(text), None)
    cause = raised(error)
    # Those of an engine that logs nothing have no name.
    if name and _logged.get(callable_id) != cause:
        _logged[callable_id] = cause
        _log(name, error)
    if module := missing_module(error):
        return _core.job_failed, (type(error).__name__, f"No module named {module!r}", None)
    return _core.job_raised, cause


def _log(name: str, error: BaseException) -> None:
    try:
        text = redact(clean("\n".join(_parts(error))[-MAX_READ:]))
        extra = {"check_name": name, "error_type": type(error).__name__}
        logger.error("%s raised %s\n%s", name, type(error).__name__, text, extra=extra)
    except Exception as failed:  # noqa: BLE001  # an exception whose text cannot be made, a handler that raises
        with suppress(Exception):  # a filter or handler that raises whatever it is given
            logger.error("%s raised %s, which cannot be shown (%s)", name, type(error).__name__, type(failed).__name__)


def _parts(error: BaseException) -> list[str]:
    """Return the traceback of an exception after those of its causes, as Python shows them."""
    parts: list[str] = []
    # Without the frame that called the check.
    frames = error.__traceback__ and error.__traceback__.tb_next
    while len(parts) < MAX_CAUSES:
        tracebacks = traceback.extract_tb(frames)
        shown = "".join(tracebacks.format())
        # What a library raises may quote what a server sent: its class and its place must do.
        is_own = bool(tracebacks) and not _is_library(tracebacks[-1].filename)
        text = f": {error}" if is_own and str(error) else ""
        parts.append(f"Traceback (most recent call last):\n{shown}{type(error).__name__}{text}")
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error, frames = cause, cause.__traceback__
    return parts[::-1]


def _is_library(filename: str) -> bool:
    """Whether a file is part of an installed package or of the standard library."""
    path = filename.replace("\\", "/")
    return "/site-packages/" in path or "/dist-packages/" in path or path.startswith((_STANDARD_LIBRARY, "<frozen"))
