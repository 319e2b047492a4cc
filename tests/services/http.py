"""Stand-ins for Google Maps, OpenAI and Anthropic, in one child process whose answers can be changed."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from tests.services.base import Service
from tests.services.certificates import certificates
from tests.services.workspace import module_command, module_environment

GOOGLE_KEY = "AIzaSy-google-key-47"
OPENAI_KEY = "sk-proj-openai-key-48"
ANTHROPIC_KEY = "sk-ant-api03-anthropic-key-49"


class HttpApis(Service):
    """Answers as the real services do: right key, wrong key, no key."""

    name = "http"
    google_key = GOOGLE_KEY
    openai_key = OPENAI_KEY
    anthropic_key = ANTHROPIC_KEY

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self.tls = tls

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def google_base_url(self) -> str:
        """Stands for https://maps.googleapis.com."""
        return self.base_url

    @property
    def openai_base_url(self) -> str:
        """Stands for https://api.openai.com/v1."""
        return f"{self.base_url}/openai/v1"

    @property
    def anthropic_base_url(self) -> str:
        """Stands for https://api.anthropic.com."""
        return f"{self.base_url}/anthropic"

    def arguments(self) -> list[str]:
        options: dict[str, object] = {
            "host": self.host,
            "port": self.port,
            "keys": {"google": GOOGLE_KEY, "openai": OPENAI_KEY, "anthropic": ANTHROPIC_KEY},
        }
        if self.tls:
            server = certificates().server
            options |= {"certificate": str(server.certificate), "key": str(server.key)}
        return module_command("http_server", json.dumps(options))

    def environment(self) -> dict[str, str]:
        return module_environment()

    def control(self, **answers: object) -> None:
        """Change what is answered from now on; what is not named is as at the start, so `control()` resets.

        `delay=seconds` for all; per API `google={...}`, `openai={...}`, `anthropic={...}` with `status` (HTTP),
        `api_status` (Google's own), `retry_after` (seconds), `body` (text sent as it is).
        """
        self._request("/_control", json.dumps(answers).encode())

    def requests(self) -> dict[str, int]:
        """How many requests each API has had."""
        counts: dict[str, int] = self._request("/_requests")
        return counts

    def _request(self, path: str, data: bytes | None = None) -> Any:
        context = ssl.create_default_context(cafile=str(certificates().ca)) if self.tls else None
        with urllib.request.urlopen(self.base_url + path, data, timeout=10, context=context) as answer:
            return json.load(answer)
