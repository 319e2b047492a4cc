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
            with warnings.catch_warnings():
                # Of settings that are deprecated whoever sets them was told already.
                warnings.simplefilter("ignore")
                try:
                    value = getattr(settings, name)
                except ImproperlyConfigured:  # an empty SECRET_KEY, as in the build of an image
                    continue
            yield from secrets_in(value, name)
