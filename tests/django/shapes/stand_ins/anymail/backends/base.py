"""What every service has in common."""

from __future__ import annotations

from typing import Any

from django.core.mail.backends.base import BaseEmailBackend


class AnymailBaseBackend(BaseEmailBackend):
    """Sends by the API of a service, never by SMTP."""

    def send_messages(self, email_messages: Any) -> int:
        raise AssertionError("No check sends mail")
