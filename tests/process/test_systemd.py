"""systemd is notified through its socket that a process is ready, alive and stopping, and not while it is wedged."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.probes import Script

NOTIFY = """
os.environ["NOTIFY_SOCKET"] = sys.argv[1]
os.environ["WATCHDOG_USEC"] = "400000"
os.environ["WATCHDOG_PID"] = str(os.getpid())
{before}
say(lifesigns.notify_systemd(wedged_after=1.5))
{after}
input()
"""


class Systemd:
    """The end of systemd."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)

    def receive(self, seconds: float = 20) -> str:
        self.socket.settimeout(seconds)
        return self.socket.recv(4096).decode()

    def received_within(self, seconds: float) -> list[str]:
        end = time.monotonic() + seconds
        received = []
        while (remaining := end - time.monotonic()) > 0:
            try:
                received.append(self.receive(remaining))
            except TimeoutError:
                break
        return received


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract names are Linux's")
    systemd = Systemd(f"@lifesigns-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify"))
    yield systemd
    systemd.socket.close()


def notifying(systemd: Systemd, before: str = "", after: str = "") -> Script:
    return Script(NOTIFY.format(before=before, after=after), systemd.address)


def test_notify__ready_once_then_alive_until_stopping(systemd: Systemd) -> None:
    with notifying(systemd, after="input(); lifesigns.drain()") as process:
        assert process.line() == "True"
        assert systemd.receive() == "READY=1"
        assert 5 <= len(received := systemd.received_within(2)) <= 15
        assert set(received) == {"WATCHDOG=1"}
        process.send_line()
        assert sorted(set(systemd.received_within(1))) == ["STOPPING=1", "WATCHDOG=1"]
        process.finish()


def test_notify__a_wedged_process_is_silent(systemd: Systemd) -> None:
    with notifying(systemd, after="import ctypes; ctypes.PyDLL(None).sleep(5)") as process:
        assert process.line() == "True"
        systemd.received_within(3)
        assert systemd.received_within(1.5) == []
        assert systemd.receive() == "WATCHDOG=1"
        process.finish()


def test_notify__another_process_is_watched(systemd: Systemd) -> None:
    with notifying(systemd, before="os.environ['WATCHDOG_PID'] = '1'") as process:
        assert process.line() == "True"
        assert systemd.received_within(1.5) == ["READY=1"]


def test_notify__without_a_socket_does_nothing() -> None:
    with Script("os.environ.pop('NOTIFY_SOCKET', None); say(lifesigns.notify_systemd()); input()") as process:
        assert process.line() == "False"
        process.finish()


def test_notify__without_a_listener_does_nothing(tmp_path: Path) -> None:
    script = f"""
os.environ["NOTIFY_SOCKET"] = {str(tmp_path / "none")!r}
try:
    lifesigns.notify_systemd()
except OSError as error:
    say(error)
"""
    with Script(script) as process:
        assert "No such file" in process.line()
