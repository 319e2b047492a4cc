"""The Django app. Loading it starts nothing and connects to nothing."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class LifesignsConfig(AppConfig):
    """Registers the system checks."""

    name = "django_lifesigns"
    label = "lifesigns"
    verbose_name = "Lifesigns"

    def ready(self) -> None:
        from django_lifesigns.system_checks import check_settings

        checks.register(check_settings)
