"""Mosquitto, an MQTT broker, with user and password, and listeners for TLS and websockets where wanted."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.services.base import Service, account_if_root, free_port, program
from tests.services.certificates import certificates

USER = "app"
PASSWORD = "app:mqtt/p@ss%45"


class Mosquitto(Service):
    """Anonymous clients are refused."""

    name = "mosquitto"

    def __init__(self, *, tls: bool = False, websockets: bool = False) -> None:
        super().__init__()
        self.tls_port = free_port() if tls else None
        self.websockets_port = free_port() if websockets else None
        self.websockets_tls_port = free_port() if tls and websockets else None

    def prepare(self) -> None:
        passwords = self.directory / "passwords"
        subprocess.run([program("mosquitto_passwd"), "-c", "-b", passwords, USER, PASSWORD], check=True)
        lines = [
            f"listener {self.port} {self.host}",
            "allow_anonymous false",
            f"password_file {passwords}",
            "log_dest stderr",
        ]
        if account := account_if_root("root"):
            lines.append(f"user {account}")  # it would become `mosquitto`, who may not read this directory
        for port, tls, websockets in (
            (self.tls_port, True, False),
            (self.websockets_port, False, True),
            (self.websockets_tls_port, True, True),
        ):
            if port is not None:
                lines.append(f"listener {port} {self.host}")
                lines += ["protocol websockets"] if websockets else []
                lines += self._tls_lines() if tls else []
        self.configuration.write_text("\n".join(lines) + "\n")

    def arguments(self) -> list[str]:
        return [program("mosquitto"), "-c", str(self.configuration)]

    def ready(self) -> bool:
        with suppress(OSError):
            return self.connect() == 0
        return False

    def connect(self, user: str = USER, password: str = PASSWORD) -> int:
        """Connect by MQTT 3.1.1 and return the broker's code: 0 accepted, 5 not authorised."""
        variable = b"\0\4MQTT\4\xc2\0\x0a" + b"".join(_text(text) for text in ("", user, password))
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall(bytes([0x10, len(variable)]) + variable)
            answer = connection.recv(4)
        if len(answer) != 4:
            raise ConnectionError("no CONNACK")
        return answer[3]

    def django_config(self) -> dict[str, object]:
        """The setting MQTT_CONFIG."""
        return {
            "BROKER_ADDRESS": self.host,
            "BROKER_PORT": self.tls_port or self.port,
            "BROKER_USERNAME": USER,
            "BROKER_PASSWORD": PASSWORD,
            "BROKER_USE_TLS": self.tls_port is not None,
        }

    def _tls_lines(self) -> list[str]:
        pair = certificates().server
        return [f"certfile {pair.certificate}", f"keyfile {pair.key}"]

    @property
    def configuration(self) -> Path:
        return self.directory / "mosquitto.conf"


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
