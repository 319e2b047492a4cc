"""Mosquitto, an MQTT broker, with user and password, and a TLS listener where wanted."""

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

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self.tls_port = free_port() if tls else None

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
        if self.tls_port is not None:
            lines += [
                f"listener {self.tls_port} {self.host}",
                f"certfile {certificates().server.certificate}",
                f"keyfile {certificates().server.key}",
            ]
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

    @property
    def configuration(self) -> Path:
        return self.directory / "mosquitto.conf"


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
