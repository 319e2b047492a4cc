"""Keeps imports of several threads from colliding: they are made at registration, or once more and alone.

An import of a package locks the package, then its modules; an import of one of its modules locks that one first. Two
threads that do both at once leave modules half made, or one of them gets a `_DeadlockError`.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from types import ModuleType

from lifesigns.arguments import unwrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from threading import Lock
    from typing import Any

IS_COROUTINE_FUNCTION = 0x80
POLL_SECONDS = 0.005
MAX_CAUSES = 10

_alone: list[Lock] = []


def import_whole(name: str, function: Callable[[], Any], packages: Iterable[str]) -> None:
    """Import, on this thread, what a callable is defined in and the packages that it will import.

    One that cannot be imported is logged, and left for the check to report.
    """
    inner = unwrapped(function)
    if is_coroutine_function(inner):
        import asyncio  # noqa: F401
    module = str(getattr(inner, "__module__", None) or type(inner).__module__)
    if module != "__main__":
        for part in (module.partition(".")[0], module):
            if part not in sys.modules:
                with suppress(Exception):  # a name that is not a module's: the function is there without it
                    __import__(part)
    for package in packages:
        try:
            __import__(package)
        except Exception as error:  # noqa: BLE001  # whatever it raises is the check's to report
            import logging

            from lifesigns.redaction import redact

            # It may be anything that was put in the wrong place.
            package, why = redact(package), type(error).__name__
            extra = {"check_name": name}
            logging.getLogger("lifesigns.checks").warning("%s: cannot import %s (%s)", name, package, why, extra=extra)


def is_coroutine_function(function: Any) -> bool:
    """Return whether calling it returns a coroutine, as far as that can be known before."""
    inner = unwrapped(function)
    call: Any = inner if hasattr(inner, "__code__") else getattr(type(inner), "__call__", None)  # noqa: B004
    return bool(getattr(getattr(call, "__code__", None), "co_flags", 0) & IS_COROUTINE_FUNCTION)


def is_collision(error: BaseException) -> bool:
    """Return whether an exception, or one that caused it, comes of an import that another thread has spoilt."""
    return any(map(_is_half_made, _causes(error)))


@contextmanager
def alone(timeout: float, error: BaseException) -> Iterator[None]:
    """Hold off other second attempts, once no import is in progress, or after `timeout` seconds."""
    end = time.monotonic() + timeout
    lock = _lock()
    is_held = lock.acquire(timeout=max(0.0, timeout))
    try:
        while _is_importing() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        for package in {name.partition(".")[0] for cause in _causes(error) for name in _modules_in(cause)}:
            _repair(package)
        yield
    finally:
        if is_held:
            lock.release()


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and len(found) < MAX_CAUSES:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found


def _is_half_made(error: BaseException) -> bool:
    if type(error).__name__ == "_DeadlockError":
        return True
    if isinstance(error, AttributeError):  # of a module, as far as it was executed
        return isinstance(getattr(error, "obj", None), ModuleType)
    if isinstance(error, ModuleNotFoundError):  # there is none, or its package was removed meanwhile
        return error.name in sys.modules or "halted; None in sys.modules" in str(error)
    return isinstance(error, ImportError) or (isinstance(error, KeyError) and _is_raised_by_import(error))


def _is_raised_by_import(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_code.co_filename.startswith("<frozen importlib")


def _modules_in(error: BaseException) -> Iterator[str]:
    """Yield the modules that an exception names, and those that were being executed when it was raised."""
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    for name in (getattr(getattr(error, "obj", None), "__name__", None), getattr(error, "name", None), key):
        if isinstance(name, str):
            yield name
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "<module>":
            yield str(traceback.tb_frame.f_globals.get("__name__"))
        traceback = traceback.tb_next


def _lock() -> Lock:
    if not _alone:
        import threading

        _alone.append(threading.Lock())
    return _alone[0]


def _is_importing() -> bool:
    for module in list(sys.modules.values()):
        if getattr(getattr(module, "__spec__", None), "_initializing", False):
            return True
    return False


def _repair(package: str) -> None:
    """Complete what a failed import has left: modules that their package does not know, or that have no package."""
    prefix = f"{package}."
    for name, module in list(sys.modules.items()):
        if name.startswith(prefix):
            parent, _, child = name.rpartition(".")
            if package not in sys.modules:
                # The package will be executed again, and then does not get those that are there already.
                sys.modules.pop(name, None)
            elif parent in sys.modules and child not in vars(sys.modules[parent]):
                setattr(sys.modules[parent], child, module)
