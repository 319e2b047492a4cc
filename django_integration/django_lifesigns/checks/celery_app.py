"""The Celery application of the project."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings


def application() -> Any:
    """Return the project's application or, where nothing in this process has made it, one with its settings."""
    from celery import current_app

    url = getattr(settings, "CELERY_BROKER_URL", None)
    return current_app if current_app.conf.broker_url or not url else _of_settings(repr(url))


def is_configured() -> bool:
    """Return whether the application names a broker."""
    return bool(application().conf.broker_url)


@lru_cache(1)
def _of_settings(_: str) -> Any:
    from celery import Celery

    # Without the fixup for Django, which changes what this process does with signals and paths.
    application = Celery("lifesigns", set_as_current=False, fixups=[])
    application.config_from_object("django.conf:settings", namespace="CELERY")
    return application
