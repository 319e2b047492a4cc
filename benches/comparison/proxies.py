"""A proxy before every service, each in a process of its own, so that none of them holds another one up.

As a program it is one of them, for the target and the delay in its arguments. It prints its port, and answers each line
of standard input with how many round trips there were since the line before.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.services import Proxy, Service
from tests.services.workspace import module_environment

if TYPE_CHECKING:
    from typing_extensions import Self


class Proxies:
    """They delay each byte by `delay` seconds, each way."""

    def __init__(self, services: tuple[Service, ...], delay: float) -> None:
        self.services = services
        self.delay = delay
        self.ports: dict[int, int] = {}
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def round_trips(self, service: Service) -> int:
        """How many there were since the last call."""
        return int(self._send_line(self._processes[service.name], "\n"))

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.__exit__)
            for service in self.services:
                process = subprocess.Popen(
                    [sys.executable, "-m", __name__, service.host, str(service.port), str(self.delay)],
                    env=module_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                self._processes[service.name] = process
                self.ports[service.port] = int(self._send_line(process, ""))
            undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes.values():
            process.communicate("")

    @staticmethod
    def _send_line(process: subprocess.Popen[str], question: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(question)
        process.stdin.flush()
        return process.stdout.readline()


def main(host: str, port: str, delay: str) -> None:
    with Proxy(host, int(port)) as proxy:
        proxy.delay(float(delay))
        print(proxy.port, flush=True)
        for _ in sys.stdin:
            count = proxy.round_trips
            proxy.reset_counters()
            print(count, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
