"""The modules on the call stack, by which a server that loads the application differs from a command or a script."""

from __future__ import annotations

import sys

# `get_wsgi_application` and `get_asgi_application` set Django up where a server loads the application.
ENTRANCES = frozenset(["django.core.wsgi", "django.core.asgi"])
# Where the project's module for the server calls `django.setup` by itself.
SERVERS = frozenset(["daphne", "granian", "gunicorn", "hypercorn", "mod_wsgi", "uvicorn", "waitress"])
SERVING_COMMANDS = frozenset(["runserver", "runserver_plus"])


def modules_of_callers() -> set[str]:
    """Return the names of the modules whose functions are being executed on this thread."""
    found = set()
    frame = sys._getframe()
    while frame is not None:
        found.add(str(frame.f_globals.get("__name__")))
        frame = frame.f_back  # type: ignore[assignment]
    return found


def is_loaded_by_server() -> bool:
    """Return whether Django is set up for a server. uWSGI calls from C, and is known by the module that it provides."""
    modules = modules_of_callers()
    if "django.core.management" in modules:
        return not SERVING_COMMANDS.isdisjoint(sys.argv[1:2])
    packages = {module.partition(".")[0] for module in modules}
    return "uwsgi" in sys.modules or not ENTRANCES.isdisjoint(modules) or not SERVERS.isdisjoint(packages)
