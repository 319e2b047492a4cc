"""Distinguishes Django's test runs from processes that serve."""

from __future__ import annotations

from django.core import mail


def is_under_test() -> bool:
    """Return whether this is a test run of Django's, which has an outbox in place of mail."""
    return hasattr(mail, "outbox")
