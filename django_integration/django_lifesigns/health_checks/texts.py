"""The texts of exceptions as results may show them."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from django.core.exceptions import ImproperlyConfigured

from django_lifesigns.settings.secrets import secrets
from lifesigns.answers import message_of
from lifesigns.redaction import hide


def text_of(error: BaseException) -> str:
    """Return the text of an exception, bounded and without the secrets of the settings and what looks like one."""
    with suppress(ImproperlyConfigured):  # a script without settings has no secrets there
        _hide_secrets()
    return message_of(str(error))


@lru_cache(1)
def _hide_secrets() -> None:
    """Hide them though no engine has been built, which does so, too."""
    hide(secrets())
