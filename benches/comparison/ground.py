"""What all contenders have in common: the services that they check, the project's settings, their processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.comparison.proxies import Proxies
from tests.django.projects import environment, run
from tests.faults import sockets
from tests.services import Smtp, Stack, certificates, workspace

if TYPE_CHECKING:
    from typing_extensions import Self

Taken = dict[str, dict[str, list[float]]]
PROJECT_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
# What a contender adds to them.
APPS = {
    **{name: ["django_lifesigns"] for name in ("lifesigns", "limit", "only")},
    "django_health_check": ["health_check"],
}


class Ground:
    """The services, running. The mail server wants STARTTLS and a login, as most do."""

    def __init__(self, delay: float = 0.001) -> None:
        self.stack = Stack()
        self.stack.smtp = Smtp("starttls")
        self.proxies = Proxies(self.stack.services, delay)

    def settings(self, *, delayed: bool = False) -> dict[str, Any]:
        """The project's settings, through the proxies where `delayed`."""
        settings: dict[str, Any] = {**self.stack.settings(), "INSTALLED_APPS": PROJECT_APPS}
        ports = self.proxies.ports if delayed else {}
        return {key: through(value, ports) for key, value in settings.items()}

    def environment(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Of a process in which the project has these settings, and trusts the mail server's certificate."""
        folder = workspace.new_directory("project")
        return environment(folder, dict(settings), SSL_CERT_FILE=str(certificates().ca), PYTHONWARNINGS="ignore")

    def connections(self, pid: int, *, delayed: bool = False) -> int:
        """How many the servers (or the proxies) have at this moment."""
        ports = {service.port for service in self.stack.services}
        connections = sockets.table(pid)
        return sum(sockets.incoming(self.proxies.ports[port] if delayed else port, connections) for port in ports)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.stack)
            undo.enter_context(self.proxies)
            folder = workspace.new_directory("project")
            settings = {**self.settings(), "INSTALLED_APPS": [*PROJECT_APPS, *APPS["lifesigns"]]}
            migrated = run(folder, settings, "-m", "django", "migrate", "--fake-initial", "--verbosity", "0")
            assert migrated.returncode == 0, migrated.stderr
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()


def through(value: Any, ports: Mapping[int, int]) -> Any:
    """The same settings, with other ports."""
    if isinstance(value, dict):
        return {key: through(item, ports) for key, item in value.items()}
    if isinstance(value, list):
        return [through(item, ports) for item in value]
    for port, other in ports.items():
        if value in (port, str(port)):
            return type(value)(other)
        if isinstance(value, str):
            value = value.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
    return value


class Contender:
    """Its process; `with` ends it."""

    def __init__(self, ground: Ground, name: str, settings: dict[str, Any], *arguments: str) -> None:
        self.name = name
        settings = {**settings, "INSTALLED_APPS": [*PROJECT_APPS, *APPS.get(name, [])]}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benches.comparison.contender", name, *arguments],
            env=ground.environment(settings),
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> None:
        """Until it is set up."""
        assert self._line() == "ready\n"

    def sweeps(self, times: int) -> Taken:
        """How long so many took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{times}\n")
        self._process.stdin.flush()
        taken: Taken = json.loads(self._line())
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(BrokenPipeError):
            self._process.communicate("", timeout=20)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with code {self._process.wait()}")
        return line
