"""A real Prometheus that scrapes probe servers, and its checking tool."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.services import Service
from tests.services.base import program


def promtool(*arguments: str | Path, text: str = "") -> str:
    """What promtool says; AssertionError if it finds fault."""
    command = [program("promtool"), *map(str, arguments)]
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


class Prometheus(Service):
    """Scrapes `targets` every half second, with a bearer token."""

    name = "prometheus"

    def __init__(self, targets: list[str], token: str) -> None:
        super().__init__()
        self._targets = targets
        self._token = token

    def prepare(self) -> None:
        job = {
            "job_name": "lifesigns",
            "static_configs": [{"targets": self._targets}],
            "authorization": {"credentials": self._token},
        }
        every = "500ms"
        # JSON is YAML, too.
        configuration = {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": [job]}
        (self.directory / "prometheus.yml").write_text(json.dumps(configuration))

    def arguments(self) -> list[str]:
        return [
            program("prometheus"),
            f"--config.file={self.directory}/prometheus.yml",
            f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address={self.host}:{self.port}",
        ]

    def ready(self) -> bool:
        try:
            return bool(self._get("/-/ready"))
        except urllib.error.URLError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query: `metric` (labels) and `value`."""
        answer = json.loads(self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        samples: list[dict[str, Any]] = answer["data"]["result"]
        return samples

    def targets(self) -> list[dict[str, Any]]:
        """The targets that it scrapes, with `health` and `lastError`."""
        targets: list[dict[str, Any]] = json.loads(self._get("/api/v1/targets"))["data"]["activeTargets"]
        return targets

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=10) as answer:
            body: bytes = answer.read()
            return body
