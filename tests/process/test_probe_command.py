"""`python -m lifesigns probe` for processes that serve no HTTP: an exit code and one line."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lifesigns import Engine, _core
from tests.process.probes import Script
from tests.servers import misbehaving
from tests.services import free_port, wait_until


def probe(*arguments: object) -> tuple[int, str]:
    """Exit code and output."""
    command = [sys.executable, "-W", "error", "-m", "lifesigns", "probe", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.stderr == "" or result.returncode == 2
    assert len(result.stdout.splitlines()) == (1 if result.returncode < 2 else 0)
    return result.returncode, result.stdout.strip()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix:{}/probe.sock"])
def test_address__prints_servers_message(address: str, tmp_path: Path) -> None:
    engine = Engine()
    engine.register("nothing", {"kind": "skipped", "reason": "none"})
    with engine.serve(address.format(tmp_path)) as server:
        assert probe("--alive", "--address", server.address) == (0, "Service is alive")
        assert probe("--ready", f"--address={server.address}") == (0, "Service is ready")
        engine.register("database", {"kind": "tcp", "host": "127.0.0.1", "port": free_port()})
        assert probe("--ready", "--address", server.address) == (1, "Critical checks failing: database")
        assert probe("--alive", "--address", server.address)[0] == 0


def test_address__without_server_is_1(tmp_path: Path) -> None:
    port = free_port()
    assert probe("--alive", "--address", f"127.0.0.1:{port}") == (
        1,
        f"127.0.0.1:{port} cannot be reached: connection refused",
    )
    code, said = probe("--alive", "--address", f"unix:{tmp_path}/none")
    assert (code, said) == (1, f"unix:{tmp_path}/none cannot be reached: entity not found")
    with misbehaving.silent() as silent:
        address = f"{silent.host}:{silent.port}"
        assert probe("--alive", "--address", address, "--timeout", "0.2") == (
            1,
            f"{address} did not respond within 0.2 s",
        )


@pytest.mark.parametrize("mode", sorted(misbehaving.MODES))
def test_address__misbehaving_server_is_1(mode: str) -> None:
    with misbehaving.MODES[mode]() as server:
        address = f"{server.host}:{server.port}"
        assert probe("--alive", "--address", address, "--timeout", "0.5")[0] == 1


STORE = """
engine = lifesigns.Engine(share="host", store_path=sys.argv[1], application="shop")
target = dict(kind="tcp", host="127.0.0.1", port=int(sys.argv[2]))
engine.register("x", target, ttl=0.2)
engine.start_background()
say("ready")
input()
lifesigns.drain()
input()
import ctypes; ctypes.PyDLL(None).sleep(600)
"""


def test_store__counts_processes_of_the_container(tmp_path: Path) -> None:
    arguments = ("--store", tmp_path, "--application", "shop")
    assert probe("--alive", *arguments) == (1, f"there is no store {tmp_path}/shop{_core.STORE_SUFFIX}")
    with socket.socket() as listening, Script(STORE, str(tmp_path), str(free_port())) as broken:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        broken.line()
        wait_until(lambda: probe("--alive", *arguments) == (0, "1 of 1 processes are alive"))
        assert probe("--ready", *arguments) == (1, "0 of 1 processes are ready")
        assert probe("--alive", "--store", tmp_path / f"shop{_core.STORE_SUFFIX}")[0] == 0
        with Script(STORE, str(tmp_path), str(listening.getsockname()[1])) as process:
            process.line()
            wait_until(lambda: probe("--ready", *arguments) == (0, "1 of 2 processes are ready"))
            broken.process.kill()
            wait_until(lambda: probe("--alive", *arguments) == (0, "1 of 1 processes are alive"))
            process.send_line()
            wait_until(lambda: probe("--ready", *arguments) == (1, "0 of 1 processes are ready"))
            assert probe("--alive", *arguments)[0] == 0
            process.send_line()
            wait_until(lambda: probe("--alive", *arguments, "--wedged-after", "1")[0] == 1)
            assert "not run for" in probe("--alive", *arguments, "--wedged-after", "1")[1]
            process.process.kill()
        wait_until(lambda: probe("--alive", *arguments) == (1, "no process of this container has sent a heartbeat"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--alive", "--ready"],
        ["--alive", "--address"],
        ["--alive", "--address", "localhost"],
        ["--alive", "--address", "127.0.0.1:1", "--store", "/x"],
        ["--alive", "--timeout", "soon"],
        ["--alive", "--timeout", "0"],
        ["--alive", "--verbose"],
        ["--alive", "extra"],
    ],
)
def test_usage__wrong_arguments_are_2(arguments: list[str]) -> None:
    assert probe(*arguments)[0] == 2


def test_usage__help() -> None:
    for arguments in (["--help"], ["probe", "--help"], ["-h"]):
        result = subprocess.run([sys.executable, "-m", "lifesigns", *arguments], capture_output=True, text=True)
        assert (result.returncode, result.stdout.split()[0]) == (0, "usage:")


def test_import__loads_nothing_heavy() -> None:
    script = "import sys, lifesigns.__main__; print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"django", "asyncio", "argparse", "socket", "threading", "logging", "typing", "re", "json", "inspect"}
    assert heavy.intersection(eval(result.stdout)) == set()
