"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class AnymailBaseConfig(AppConfig):
    """Has no models."""

    name = "anymail"
