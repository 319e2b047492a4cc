"""Where probes are answered: by `ProbeMiddleware`, or by `probes()` around the application, before all middleware."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

MIDDLEWARE = "django_lifesigns.middleware.ProbeMiddleware"
WRAPPED = re.compile(r"^(?!\s*#).*\bprobes\(", re.MULTILINE)


def middleware_before_probes() -> list[str]:
    """Return the middleware that a probe meets before it is answered."""
    middleware = list(settings.MIDDLEWARE)
    if is_wrapped():
        return []
    return middleware[: middleware.index(MIDDLEWARE)] if MIDDLEWARE in middleware else middleware


def is_first() -> bool:
    """Return whether the middleware is the first."""
    return list(settings.MIDDLEWARE[:1]) == [MIDDLEWARE]


def is_answered_first() -> bool:
    """Return whether a probe is answered before any middleware of the project's own."""
    return is_first() or is_wrapped()


def is_loaded() -> bool:
    """Return whether a server that loads the application loads the middleware, or `probes()`, with it."""
    return MIDDLEWARE in settings.MIDDLEWARE or is_wrapped()


def is_wrapped() -> bool:
    """Return whether a module that servers load calls `django_lifesigns.probes`. It is read, not imported."""
    paths = (getattr(settings, name, None) for name in ("WSGI_APPLICATION", "ASGI_APPLICATION"))
    modules = {path.rpartition(".")[0] for path in paths if isinstance(path, str)}
    # Projects rarely name the other of the two that `startproject` makes.
    packages = {module.rpartition(".")[0] for module in modules}
    candidates = {f"{package}.{name}" for package in packages if package for name in ("wsgi", "asgi")} | modules
    return any(_calls_probes(module) for module in candidates if module)


def _calls_probes(module: str) -> bool:
    with suppress(ImportError, ValueError, OSError, UnicodeDecodeError):
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            text = Path(spec.origin).read_text(encoding="utf-8")
            return "django_lifesigns" in text and WRAPPED.search(text) is not None
    return False
