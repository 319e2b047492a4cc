"""The default identity of an application: the same in all of its processes, another one in every other program."""

from __future__ import annotations

import hashlib
import os
import re
import sys

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
INSTALLED = re.compile(r"[/\\](site-packages|dist-packages)[/\\]")


def default_application() -> str:
    """Return a name that is derived from a path.

    A script is identified by its file. A server (gunicorn, uvicorn, Celery ...) is not the application: there it is the
    file that makes the engine, so that all servers of a project share; without a file it is the working directory.
    """
    path = _script() or _calling_file() or _working_directory()
    stem, _ = os.path.splitext(os.path.basename(path))
    if stem in ("__main__", "__init__"):
        stem = os.path.basename(os.path.dirname(path))
    name = NOT_IN_NAMES.sub("", stem)[:60] or "application"
    return f"{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def _script() -> str | None:
    """Return the file of the program, unless that is an installed command or module."""
    if getattr(sys, "frozen", False):
        return os.path.realpath(sys.executable)
    path = getattr(sys.modules.get("__main__"), "__file__", None) or (sys.argv[0] if sys.argv else "")
    return _own_file(path)


def _calling_file() -> str | None:
    """Return the file of the nearest caller outside of this package."""
    frame = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] != "lifesigns":
            return _own_file(frame.f_code.co_filename)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _own_file(path: str) -> str | None:
    """Return the path of a file, unless it was installed beside the interpreter or is part of it."""
    if not os.path.isfile(path):
        return None
    path = os.path.realpath(path)
    # Commands of installed packages have no suffix on POSIX.
    command = os.path.basename(os.path.dirname(path)) in ("bin", "sbin", "Scripts") and not path.endswith(".py")
    library = os.path.dirname(os.path.realpath(os.__file__))
    return None if command or INSTALLED.search(path) or path.startswith(library + os.sep) else path


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
