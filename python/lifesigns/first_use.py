"""Keeps imports of several threads from colliding: they are made at registration, or once more and alone.

An import of a package locks the package, then its modules; an import of one of its modules locks that one first. Two
threads that do both at once leave modules half made, or one of them gets a `_DeadlockError`.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from types import ModuleType

from lifesigns.callables import unwrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from threading import Lock
    from typing import Any

IS_COROUTINE_FUNCTION = 0x80
POLL_SECONDS = 0.005
MAX_CAUSES = 10
_HALF_MADE = ("partially initialized", "circular import", "not in sys.modules", "halted; None in sys.modules")

_alone: list[Lock] = []


def import_whole(name: str, function: Callable[[], Any], packages: Iterable[str]) -> None:
    """Import, on this thread, what a callable is defined in and the packages that it will import.

    One that cannot be imported is logged, and left for the check to report.
    """
    inner = unwrapped(function)
    call: Any = inner if hasattr(inner, "__code__") else vars(type(inner)).get("__call__")
    if getattr(getattr(call, "__code__", None), "co_flags", 0) & IS_COROUTINE_FUNCTION:
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

            logging.getLogger("lifesigns.checks").warning(
                "%s: cannot import %s (%s)", name, package, type(error).__name__, extra={"check_name": name}
            )


def is_collision(error: BaseException) -> bool:
    """Return whether an exception, or one that caused it, comes of an import that another thread has spoilt."""
    seen: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if seen is None:
            return False
        if _is_half_made(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _is_half_made(error: BaseException) -> bool:
    if type(error).__name__ == "_DeadlockError":
        return True
    if isinstance(error, AttributeError):
        return isinstance(getattr(error, "obj", None), ModuleType)
    if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
        return True
    return isinstance(error, (ImportError, KeyError)) and any(text in str(error) for text in _HALF_MADE)


@contextmanager
def alone(timeout: float, error: BaseException) -> Iterator[None]:
    """Hold off other second attempts, once no import is in progress, or after `timeout` seconds."""
    end = time.monotonic() + timeout
    lock = _lock()
    is_held = lock.acquire(timeout=max(0.0, timeout))
    try:
        while _is_importing() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        _complete_packages(error)
        yield
    finally:
        if is_held:
            lock.release()


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


def _complete_packages(error: BaseException) -> None:
    """Give the packages that the error is about their modules, as the import that failed half-way did not."""
    seen: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if seen is None:
            return
        name = getattr(getattr(seen, "obj", None), "__name__", None) or getattr(seen, "name", None)
        if isinstance(name, str):
            _bind_modules(name.partition(".")[0])
        seen = seen.__cause__ or seen.__context__


def _bind_modules(package: str) -> None:
    for name, module in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if name.startswith(f"{package}.") and parent in sys.modules and child not in vars(sys.modules[parent]):
            setattr(sys.modules[parent], child, module)
