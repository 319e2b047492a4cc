"""The Django app. Loading it starts nothing and connects to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.utils.module_loading import autodiscover_modules

# Of each installed app: where it declares its checks, as `admin` is where it declares its admin pages.
MODULE = "health"


class LifesignsConfig(AppConfig):
    """Registers the system checks, and finds the checks that the project's apps declare."""

    name = "django_lifesigns"
    label = "lifesigns"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Lifesigns"

    def ready(self) -> None:
        from django_lifesigns.runtime.servers import is_loaded_by_server
        from lifesigns.shutdown import wrap_sigterm

        checks.register(check_settings)
        # Before the application starts threads that import the same packages.
        if is_loaded_by_server():
            from django_lifesigns.runtime.imports import import_packages

            import_packages()
        autodiscover_modules(MODULE)
        # Most servers have set their handlers by now. Those that fork after loading the application set them later:
        # there the first request to the main thread does this.
        wrap_sigterm()
        raw = getattr(settings, "LIFESIGNS", None)
        if isinstance(raw, Mapping) and raw.get("CELERY_SIGNALS") and find_spec("celery"):
            from django_lifesigns.runtime import celery_signals
            from django_lifesigns.settings.conf import read

            if read().celery_signals:
                celery_signals.connect()


def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[checks.CheckMessage]:
    """What `manage.py check` says. Imported only then: it takes longer than the rest of this app."""
    from django_lifesigns.runtime.system_checks import messages

    return messages()
