"""The Django app. Loading it starts nothing and connects to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks


class LifesignsConfig(AppConfig):
    """Registers the system checks, and finds the checks that the project's apps declare."""

    name = "django_lifesigns"
    label = "lifesigns"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Lifesigns"  # a name, the same in every language

    def ready(self) -> None:
        checks.register(check_settings)
        from django_lifesigns.runtime.guard import guarded

        for what, step in STEPS.items():
            with guarded(what):
                step()


def _import_packages() -> None:
    """Import what checks and pages need, where a server loads the application: before it starts threads of its own."""
    from django_lifesigns.runtime.servers import is_loaded_by_server

    if is_loaded_by_server():
        from django_lifesigns.runtime.imports import import_packages, import_pages

        import_packages()
        import_pages()


def _import_health_modules() -> None:
    from django_lifesigns.runtime.health_modules import import_health_modules

    import_health_modules()


def _wrap_sigterm() -> None:
    """Drain at SIGTERM where the server has set its handler by now, as most have. Those that fork after loading the
    application set it later: there the first request to the main thread does this."""
    from lifesigns.shutdown import wrap_sigterm

    wrap_sigterm()


def _connect_to_celery() -> None:
    raw = getattr(settings, "LIFESIGNS", None)
    if isinstance(raw, Mapping) and raw.get("CELERY_SIGNALS") and find_spec("celery"):
        from django_lifesigns.runtime import celery_signals
        from django_lifesigns.settings.conf import read

        if read().celery_signals:
            celery_signals.connect()


# Each is tried, whatever becomes of the others.
STEPS: Mapping[str, Callable[[], None]] = {
    "importing what checks and pages need": _import_packages,
    "importing the checks of the apps": _import_health_modules,
    "draining at SIGTERM": _wrap_sigterm,
    "CELERY_SIGNALS": _connect_to_celery,
}


def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[checks.CheckMessage]:
    """What `manage.py check` says. Imported only then: it takes longer than the rest of this app."""
    from django_lifesigns.http.url_checks import problems
    from django_lifesigns.runtime.system_checks import messages

    return messages(problems())
