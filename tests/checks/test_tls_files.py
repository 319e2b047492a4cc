"""A certificate file that blocks the thread that reads it, as one on a dead mount does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifesigns import Engine
from tests.checks.test_tls import TlsServer
from tests.services import Certificates

TIMEOUT = 0.5
SLACK = 1.0
ALWAYS_HEALTHY = {"degraded_above": 100, "error_above": 100}
OTHERS = {"tls", "url", "plain", "disk"}
BLOCKED = {"blocked", "blocked_url"}


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    """A named pipe: opening it for reading blocks until a writer opens it, at the end of the test."""
    path = tmp_path / "ca.pem"
    os.mkfifo(path)
    yield path
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


@pytest.fixture
def engine(certificates: Certificates) -> Iterator[Engine]:
    """Four checks that are healthy within some milliseconds, two of them with certificate files of their own."""
    engine = Engine(default_timeout=5.0)
    tls = {"ca": str(certificates.ca)}
    with TlsServer(certificates.server) as server, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        engine.register("tls", {"kind": "tcp", "host": "localhost", "port": server.port, "tls": tls})
        engine.register("url", {"kind": "http", "url": f"https://localhost:{server.port}/", "tls": tls})
        engine.register("plain", {"kind": "tcp", "host": "127.0.0.1", "port": port})
        engine.register("disk", {"kind": "disk", "paths": ["/"], "thresholds": ALWAYS_HEALTHY})
        yield engine


def add_blocked(engine: Engine, certificates: Certificates, fifo: Path) -> None:
    tls = {"ca": str(fifo)}
    # Not the TLS server's, which serves one connection after another.
    port = engine.check("plain")["details"]["port"]
    engine.register("blocked", {"kind": "tcp", "host": "localhost", "port": port, "tls": tls}, timeout=TIMEOUT)
    url = f"https://localhost:{port}/"
    engine.register("blocked_url", {"kind": "http", "url": url, "tls": tls}, timeout=TIMEOUT)


def sweep(engine: Engine) -> tuple[dict[str, Any], float]:
    started = time.monotonic()
    report = engine.run(refresh=True)
    return report["checks"], time.monotonic() - started


def test_blocking_ca_file_other_checks_unchanged(engine: Engine, certificates: Certificates, fifo: Path) -> None:
    sweep(engine)
    usual, _ = sweep(engine)
    add_blocked(engine, certificates, fifo)
    for _ in range(3):
        checks, duration = sweep(engine)
        assert duration < TIMEOUT + SLACK
        for name in BLOCKED:
            assert checks[name]["error_type"] == "TimeoutError", checks[name]
            assert TIMEOUT * 1_000 <= checks[name]["duration_ms"] < (TIMEOUT + SLACK) * 1_000
        for name in OTHERS:
            assert checks[name]["status"] == usual[name]["status"] == "healthy", checks[name]
            assert checks[name]["duration_ms"] < usual[name]["duration_ms"] + SLACK * 1_000


def test_blocking_ca_file_run_returns_by_deadline(engine: Engine, certificates: Certificates, fifo: Path) -> None:
    sweep(engine)
    add_blocked(engine, certificates, fifo)
    for _ in range(2):
        started = time.monotonic()
        report = engine.run(refresh=True, deadline=0.2)
        assert time.monotonic() - started < 0.2 + SLACK
        assert {name for name, result in report["checks"].items() if result["status"] == "healthy"} >= OTHERS
