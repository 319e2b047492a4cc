"""An SMTP server (aiosmtpd in a child process) with authentication, STARTTLS, implicit TLS or neither."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Literal

from tests.services.base import Service
from tests.services.certificates import certificates
from tests.services.workspace import module_command, module_environment

USER = "app"
PASSWORD = "app:smtp/p@ss%46"

Security = Literal["starttls", "tls", "plain"]


@dataclass(frozen=True)
class Mail:
    """A message as the server took it: envelope, and content."""

    sender: str
    recipients: list[str]
    options: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)


class Smtp(Service):
    """Refuses mail before authentication, and authentication before STARTTLS where that is the mode.

    Recipients named `refused` are refused for good, those named `later` for now; what others get is in `mails`.
    With `cram_refuses` CRAM-MD5 is refused whatever the password, as by a server that knows only hashes of passwords.
    """

    name = "smtp"

    def __init__(
        self,
        security: Security = "plain",
        *,
        mechanisms: tuple[str, ...] = ("LOGIN", "PLAIN"),
        cram_refuses: bool = False,
        utf8: bool = False,
    ) -> None:
        super().__init__()
        self.utf8 = utf8
        self.cram_refuses = cram_refuses
        self.security = security
        self.mechanisms = mechanisms

    def arguments(self) -> list[str]:
        options: dict[str, object] = {
            "host": self.host,
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "security": self.security,
            "mechanisms": self.mechanisms,
            "cram_refuses": self.cram_refuses,
            "utf8": self.utf8,
        }
        if self.security != "plain":
            server = certificates().server
            options |= {"certificate": str(server.certificate), "key": str(server.key)}
        return module_command("smtp_server", json.dumps(options))

    def environment(self) -> dict[str, str]:
        return module_environment()

    def ready(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1) as connection:
            return self.security == "tls" or connection.recv(4) == b"220 "
        return False

    def mails(self) -> list[Mail]:
        """The messages that were taken since the start, in their order."""
        files = sorted(self.directory.glob("mail-*.json"))
        said = [json.loads(file.read_text()) for file in files]
        return [
            Mail(mail["sender"], mail["recipients"], mail["options"], mail["content"].encode("latin-1"))
            for mail in said
        ]

    def django_settings(self) -> dict[str, object]:
        """The EMAIL_* settings."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": self.host,
            "EMAIL_PORT": self.port,
            "EMAIL_HOST_USER": USER,
            "EMAIL_HOST_PASSWORD": PASSWORD,
            "EMAIL_USE_TLS": self.security == "starttls",
            "EMAIL_USE_SSL": self.security == "tls",
        }
