"""Imports, on the thread that loads the application, what the checks of this project would import when they run.

Checks run in parallel, and beside them the application imports on threads of its own. Two threads that import parts of
one package at once can leave it half made for the life of the process: then the application's own cache fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings

from django_lifesigns.checks.imports import cache_modules, channel_modules, imports, module_of


def import_packages() -> None:
    """Import what the built-in checks and those named by a dotted path need, once in a process.

    What cannot be imported is left for its check to report.
    """
    if _imported:
        return
    _imported.append(True)
    raw = getattr(settings, "LIFESIGNS", None)
    options: Mapping[Any, Any] = raw if isinstance(raw, Mapping) else {}
    for name, modules in _CHECKS.items():
        with suppress(Exception):  # settings that are wrong are reported elsewhere
            if _is_enabled(name, options):
                _import_all(modules(options))
    with suppress(Exception):
        _import_all(_own_modules(options))
    with suppress(Exception):
        for of_alias in _alias_modules(options):
            with suppress(Exception):
                _import_all(of_alias)


def import_pages() -> None:
    """Import the pages and what reads their history: the first page would take half as long again if it did that."""
    with suppress(Exception):  # settings that are wrong are reported elsewhere
        _import_all(iter(["django_lifesigns.urls"]))
        _import_all(f"{database['ENGINE']}.base" for database in settings.DATABASES.values())


def _import_all(modules: Iterator[str]) -> None:
    for module in modules:
        with suppress(Exception):  # whatever a package raises when it is imported
            import_module(module)


def _is_enabled(name: str, options: Mapping[Any, Any]) -> bool:
    disabled, entry = options.get("DISABLED") or (), (options.get("CHECKS") or {}).get(name)
    return name not in disabled and not (isinstance(entry, Mapping) and entry.get("enabled") is False)


def _queue_modules(options: Mapping[Any, Any]) -> Iterator[str]:
    configured = options.get("TASK_QUEUE")
    # Those whose checks, or targets, go through their own code; an installed app of theirs has imported them.
    through_own_code = {"celery", "django_q", "dramatiq", "huey"}
    if not (configured or getattr(settings, "CELERY_BROKER_URL", None) or through_own_code & sys.modules.keys()):
        return
    from django_lifesigns.targets.queues import presets
    from django_lifesigns.targets.queues.background_task import DEFAULT

    queue = presets.configured(configured or presets.installed() or DEFAULT)
    for check in queue.checks.values():
        yield from imports(check)


def _own_modules(options: Mapping[Any, Any]) -> Iterator[str]:
    for name, entry in (options.get("CHECKS") or {}).items():
        check = entry.get("check") if isinstance(entry, Mapping) else entry
        if isinstance(check, str) and _is_enabled(name, options):
            yield module_of(check)


def _alias_modules(options: Mapping[Any, Any]) -> Iterator[Iterator[str]]:
    from django_lifesigns.targets.aliases import ALIAS_KINDS, further_aliases

    wanted: list[tuple[Any, Any]] = []
    if options.get("ALIASES") != "default":
        wanted += further_aliases(lambda name: _is_enabled(name, options))
    for name, entry in (options.get("CHECKS") or {}).items():
        if isinstance(entry, Mapping) and entry.get("kind") in ALIAS_KINDS and _is_enabled(name, options):
            wanted.append((entry["kind"], entry.get("alias", "default")))
    for kind, alias in wanted:
        yield ALIAS_KINDS[kind].modules(alias)


_CHECKS: dict[str, Callable[[Mapping[Any, Any]], Iterator[str]]] = {
    "redis_connectivity": lambda _: cache_modules("default"),
    "default_cache": lambda _: cache_modules("default"),
    "select2_cache": lambda _: cache_modules("select2"),
    "channel_layer": lambda _: channel_modules("default"),
    "task_queue": _queue_modules,
    "pending_tasks": _queue_modules,
    "task_workers": _queue_modules,
}
_imported: list[bool] = []
