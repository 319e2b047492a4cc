"""The TCP check against open, closed, silent and unreachable ports."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from lifesigns import Engine
from tests.servers import misbehaving
from tests.services import wait_until


def probe(host: str, port: int, timeout: float = 5.0) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("port", {"kind": "tcp", "host": host, "port": port})
    return dict(engine.check("port", refresh=True))


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of a listener on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_open_port(listener: int, host: str) -> None:
    result = probe(host, listener)
    assert result["status"] == "healthy", result
    assert result["details"] == {"host": host, "port": listener}


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_open_port__ipv6(host: str) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        port = server.getsockname()[1]
        result = probe(host, port)
    assert result["status"] == "healthy", result
    assert result["message"] == f"[::1]:{port} accepts connections"


def test_closed_port() -> None:
    port = misbehaving.refused_port()
    result = probe("127.0.0.1", port)
    assert result["error_type"] == "ConnectionRefusedError", result
    assert result["message"] == f"127.0.0.1:{port} refused the connection"


def test_one_address_of_two_is_enough(listener: int) -> None:
    """`localhost` is ::1 as well where there is IPv6, and no server listens there."""
    assert probe("localhost", listener)["status"] == "healthy"


def test_black_hole() -> None:
    with misbehaving.full_backlog() as server:
        result = probe("127.0.0.1", server.port, timeout=0.5)
    assert result["error_type"] == "TimeoutError", result
    assert result["timeout_seconds"] == 0.5
    assert result["message"] == "Timed out after 0.5 s (while connecting)"
    assert result["duration_ms"] < 2000


@pytest.mark.parametrize("host", ["unknown.invalid", "bücher.invalid", "a" * 300])
def test_name_that_is_unknown(host: str) -> None:
    result = probe(host, 80)
    assert result["status"] == "error", result
    assert result["error_type"] == "NameResolutionError", result


NEVER_RESOLVES = textwrap.dedent("""
    import os, socket, time
    from lifesigns import Engine

    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 53))
    engine = Engine(default_timeout=0.5)
    for number in range(10):
        engine.register(f"port{number}", {"kind": "tcp", "host": "never.example.org", "port": 80})
    engine.register("address", {"kind": "tcp", "host": "127.0.0.1", "port": 1})
    def threads():
        return len(os.listdir("/proc/self/task"))
    started = time.monotonic()
    for sweep in range(4):
        for name, result in engine.run(refresh=True)["checks"].items():
            if name == "address":
                assert result["error_type"] == "ConnectionRefusedError", result
            else:
                assert result["error_type"] == "TimeoutError", result
                assert result["message"].endswith("(while resolving the host name)"), result
        if sweep == 0:
            first = threads()
    assert time.monotonic() - started < 6, "a sweep took longer than its timeout"
    assert threads() <= first, (first, threads())
    print("held one thread")
    os._exit(0)
""")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux namespaces")
def test_name_that_never_resolves__holds_one_thread(tmp_path: Any) -> None:
    """In a network and a resolv.conf of its own, where the name server never answers."""
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    switch = tmp_path / "nsswitch.conf"
    switch.write_text("hosts: dns\n")
    script = (
        "ip link set lo up && "
        f"mount --bind {configuration} /etc/resolv.conf && mount --bind {switch} /etc/nsswitch.conf || exit 77\n"
        f'exec "{sys.executable}" -c "$1"'
    )
    command = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", script, "sh", NEVER_RESOLVES]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if run.returncode == 77 or "unshare:" in run.stderr:
        pytest.skip(f"no namespaces here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    assert run.stdout == "held one thread\n"


@pytest.mark.parametrize("mode", ["silent", "closes", "garbage"])
def test_whatever_a_server_does_after_accepting(mode: str) -> None:
    with misbehaving.MODES[mode]() as server:
        result = probe("127.0.0.1", server.port)
        wait_until(lambda: server.connections == 1, 10, "no connection came")
    assert result["status"] == "healthy", result


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("", 80, "host must not be empty"),
        ("two words", 80, "host must be a host name or an address, without spaces, "),
        ("http://example.org", 80, "host must be a host name or an address, without spaces, "),
        ("example.org", 0, "port must be from 1 to 65535, not 0"),
    ],
)
def test_wrong_specification_refused(host: str, port: int, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        probe(host, port)
