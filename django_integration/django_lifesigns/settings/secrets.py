"""The secrets in the project's settings, which no check of its own is to show."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from lifesigns.redaction import secrets_in


def secrets() -> Iterator[str]:
    """Those of every setting: passwords, keys and tokens by their names, and what stands in URLs."""
    for name in dir(settings):
        if name.isupper():
            yield from secrets_in(_value(name), name)


def _value(name: str) -> object:
    with warnings.catch_warnings():
        # The warning about a deprecated setting came already where it was set.
        warnings.simplefilter("ignore")
        try:
            return getattr(settings, name)
        except ImproperlyConfigured:  # an empty SECRET_KEY, as in an image build
            return None
