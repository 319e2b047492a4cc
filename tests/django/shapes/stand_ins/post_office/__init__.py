"""A stand-in for django-post-office: mail waits in the database, and a worker sends it by another backend."""

from __future__ import annotations

from typing import Any

from django.core.mail.backends.base import BaseEmailBackend


class EmailBackend(BaseEmailBackend):
    """Keeps mail for later."""

    def send_messages(self, email_messages: Any) -> int:
        raise AssertionError("No check sends mail")
