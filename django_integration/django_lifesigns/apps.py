"""The Django app. Loading it starts nothing and connects to nothing."""

from __future__ import annotations

from importlib.util import find_spec

from django.apps import AppConfig
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
        from django_lifesigns.conf import read
        from django_lifesigns.system_checks import check_settings
        from django_lifesigns.termination import drain_on_sigterm

        checks.register(check_settings)
        autodiscover_modules(MODULE)
        # Most servers have set their handlers by now. Those that fork after loading the application set them later:
        # there the first request to the main thread does this.
        drain_on_sigterm()
        if read().celery_signals and find_spec("celery"):
            from django_lifesigns import celery_signals

            celery_signals.connect()
