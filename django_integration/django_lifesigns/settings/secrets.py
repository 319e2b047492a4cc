"""The secrets in the project's settings, which no check of its own, no alert and no table is to show."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from lifesigns.alert_settings import secrets_of
from lifesigns.redaction import secrets_in


def secrets() -> Iterator[str]:
    """Those of every setting: passwords, keys and tokens by their names, and what stands in URLs."""
    for name in dir(settings):
        if name.isupper():
            yield from secrets_in(_value(name), name)
    lifesigns = getattr(settings, "LIFESIGNS", None)
    if isinstance(lifesigns, Mapping):
        yield from secrets_of(lifesigns.get("ALERTS"))


def _value(name: str) -> object:
    with warnings.catch_warnings():
        # The warning about a deprecated setting came already where it was set.
        warnings.simplefilter("ignore")
        try:
            return getattr(settings, name)
        except ImproperlyConfigured:  # an empty SECRET_KEY, as in an image build
            return None
