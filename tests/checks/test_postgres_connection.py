"""The kept sessions of a server: few, shared by all checks, replaced when dead, left when a server hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lifesigns
from tests.checks.postgres_server import (
    MOST_SESSIONS,
    SESSIONS,
    SLEEPING,
    WELL,
    engine,
    every_kind,
    result_of,
    run,
    server,
    sleeper,
    spec,
    statuses,
)
from tests.servers import misbehaving
from tests.services import Postgres, Proxy, wait_until
from tests.services.cluster import PASSWORD, USER


@pytest.fixture(scope="module")
def own(certificates: Any) -> Iterator[Postgres]:
    """A server that tests may stop and restart."""
    with Postgres(max_connections=200) as own:
        yield own


@pytest.fixture
def proxy(own: Postgres) -> Iterator[Proxy]:
    with Proxy(own.host, own.port) as proxy:
        yield proxy


@pytest.mark.alone
def test_sweep__two_sessions_and_their_round_trips(own: Postgres, proxy: Proxy) -> None:
    own.heartbeat()
    checks = engine(**every_kind(server(proxy)))
    assert statuses(checks.run(refresh=True)) == WELL

    def pipelined() -> bool:
        """Not while a statement was slow a short time ago, as on a busy machine, or as the first ones of a session."""
        proxy.reset_counters()
        assert statuses(checks.run(refresh=True)) == WELL
        return proxy.connections == 0 and proxy.round_trips <= 2 * SESSIONS

    wait_until(pipelined, 90)
    assert proxy.open_connections <= MOST_SESSIONS


def test_engines_of_one_process_share_sessions(own: Postgres, proxy: Proxy) -> None:
    for _ in range(3):
        assert run(spec("postgres", server(proxy)))["status"] == "healthy"
    assert proxy.connections == 1


def test_close_connections__after_running_statements(own: Postgres, proxy: Proxy) -> None:
    slow = spec("task_workers", server(proxy), sql="SELECT count(*) FROM (SELECT pg_sleep(2)) s")
    checks = engine(8.0, slow=slow, **every_kind(server(proxy)))
    assert checks.check("slow")["status"] == "healthy"
    assert checks.check("slow", refresh=True, deadline=0.0)["cached"] is True
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(2)) s%'"
    wait_until(lambda: own.sql(f"{running} AND pid <> pg_backend_pid()") == "1")
    lifesigns.close_connections()
    assert checks.check("slow", refresh=True)["status"] == "healthy", "running statements are answered"
    wait_until(lambda: proxy.open_connections == 0)
    assert statuses(checks.run(refresh=True)) == {**WELL, "slow": "healthy"}
    # One more for the slow statement, and on a busy machine for others.
    assert SESSIONS <= proxy.open_connections <= MOST_SESSIONS


def test_concurrent_checks_share_one_failed_login(own: Postgres, proxy: Proxy) -> None:
    checks = engine(**every_kind(server(proxy, password="wrong-secret")))
    proxy.delay(0.05)  # so that all of them come before it fails
    report = checks.run(refresh=True)
    assert set(statuses(report).values()) == {"error"}
    assert proxy.connections <= SESSIONS


@pytest.mark.parametrize("fault", ["restart", "terminate", "cut"])
def test_dead_session_is_replaced_within_the_run(own: Postgres, proxy: Proxy, fault: str) -> None:
    checks = engine(**every_kind(server(proxy)))
    assert statuses(checks.run(refresh=True)) == WELL
    match fault:
        case "restart":
            own.restart()
        case "terminate":
            own.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lifesigns'")
        case "cut":
            proxy.cut()
    assert statuses(checks.run(refresh=True)) == WELL
    assert SESSIONS <= proxy.open_connections <= MOST_SESSIONS


def test_server_stopped_and_started(own: Postgres) -> None:
    checks = engine(x=spec("postgres", server(own)))
    assert result_of(checks)["status"] == "healthy"
    own.stop()
    try:
        assert result_of(checks)["error_type"] == "ConnectionRefusedError"
    finally:
        own.start()
    assert result_of(checks)["status"] == "healthy"


@pytest.mark.parametrize("warm", [True, False], ids=["kept", "new"])
def test_server_suspended_and_resumed(own: Postgres, warm: bool) -> None:
    where = server(own, application_name=f"suspended-{warm}")
    checks = engine(0.5, x=spec("postgres", where))
    if warm:
        result_of(checks)
    own.suspend()
    try:
        for _ in range(2):
            started = time.monotonic()
            result = result_of(checks)
            assert result["error_type"] == "TimeoutError"
            assert time.monotonic() - started < 10
    finally:
        own.resume()
    wait_until(lambda: result_of(checks)["status"] == "healthy", 10)
    count = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'suspended-{warm}'"
    wait_until(lambda: own.sql(count) == "1", 10)


def test_black_hole_times_out_and_leaves_no_connection(own: Postgres, proxy: Proxy) -> None:
    checks = engine(0.5, **every_kind(server(proxy)))
    checks.run(refresh=True)
    proxy.drop()
    for _ in range(3):
        report = checks.run(refresh=True)
        assert {result["error_type"] for result in report["checks"].values()} == {"TimeoutError"}
    wait_until(lambda: proxy.open_connections == 0, 10)
    proxy.resume()
    wait_until(lambda: statuses(checks.run(refresh=True)) == WELL, 10)
    assert proxy.open_connections <= MOST_SESSIONS


def test_silent_session_is_replaced_within_the_run(own: Postgres) -> None:
    checks = engine(2.0, **every_kind(server(own, application_name="silent")))
    assert statuses(checks.run(refresh=True)) == WELL
    where = "FROM pg_stat_activity WHERE application_name = 'silent'"
    backends = [int(pid) for pid in own.sql(f"SELECT pid {where}").split()]
    assert len(backends) == SESSIONS
    for backend in backends:
        os.kill(backend, signal.SIGSTOP)
    try:
        assert statuses(checks.run(refresh=True)) == WELL
        assert statuses(checks.run(refresh=True)) == WELL
    finally:
        for backend in backends:
            os.kill(backend, signal.SIGCONT)
    wait_until(lambda: int(own.sql(f"SELECT count(*) {where}")) <= MOST_SESSIONS, 10)


def test_slow_statement_on_kept_session_is_waited_for(own: Postgres) -> None:
    where = server(own, application_name="slow")
    sql = "SELECT count(*) FROM (SELECT pg_sleep(1.2)) s"
    checks = engine(2.0, slow=spec("task_workers", where, sql=sql), **every_kind(where))
    for _ in range(2):
        assert statuses(checks.run(refresh=True)) == {**WELL, "slow": "healthy"}
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow'"
    assert int(own.sql(count)) <= MOST_SESSIONS


def test_overrun_statement_is_cancelled_and_harms_no_other(own: Postgres) -> None:
    where = server(own, options="-c statement_timeout=0")
    checks = lifesigns.Engine(default_timeout=5.0)
    checks.register("slow", sleeper(where), timeout=0.5)
    for kind, one in every_kind(where).items():
        checks.register(kind, one)
    for _ in range(2):
        report = checks.run(refresh=True)
        assert report["checks"]["slow"]["error_type"] == "TimeoutError"
        assert statuses(report) == {**WELL, "slow": "error"}
        wait_until(lambda: own.sql(SLEEPING) == "0", 10)


def test_overrun_statement_is_ended_by_the_server(own: Postgres) -> None:
    where = server(own, options="-c statement_timeout=200")
    checks = engine(x=sleeper(where), db=spec("postgres", where))
    result = result_of(checks)
    assert (result["error_type"], result["timeout_seconds"]) == ("TimeoutError", 5.0)
    assert result["message"].startswith("Timed out after 0.2")
    assert "while waiting for the answer" in result["message"]
    assert result_of(checks, "db")["status"] == "healthy"


@pytest.mark.alone
def test_statement_has_all_of_the_timeout_but_what_it_takes_to_report(own: Postgres) -> None:
    """What was found before the statement that overran is in the report."""
    with psycopg.connect(own.dsn) as holder:
        holder.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        checks = engine(2.0, db=spec("postgres", server(own, options="-c lock_timeout=0")))
        checks.register("slow", sleeper(server(own)))
        report = checks.run(refresh=True)
    slow, connected = report["checks"]["slow"], report["checks"]["db"]
    assert slow["message"] == "Timed out after 2 s (while waiting for the answer)"
    assert slow["timeout_seconds"] == 2.0
    assert (connected["status"], connected["details"]["session_count"]) == ("healthy", None)
    for result in (slow, connected):
        assert 1_600 < result["duration_ms"] < 2_000


@pytest.mark.parametrize(
    ("setting", "options", "value"),
    [
        ("idle_session_timeout", None, "600000"),
        ("statement_timeout", "-c statement_timeout=1234", "1234"),
        ("lock_timeout", None, "1000"),
        ("transaction_read_only", None, "on"),
        ("TimeZone", None, "UTC"),
        ("TimeZone", "-c TimeZone=Asia/Tokyo", "Asia/Tokyo"),
        ("application_name", None, "lifesigns"),
        ("search_path", "-c search_path=pg_catalog", "pg_catalog"),
    ],
)
def test_settings(own: Postgres, setting: str, options: str | None, value: str) -> None:
    sql = f"SELECT count(*) FROM pg_settings WHERE name = '{setting}' AND setting = '{value}'"
    one = spec("task_workers", server(own, options=options), sql=sql, tables=["pg_class"])
    assert run(one)["details"]["active_workers"] == 1


def test_forked_child_opens_its_own_session(own: Postgres, proxy: Proxy) -> None:
    checks = engine(x=spec("postgres", server(proxy)))
    assert result_of(checks)["status"] == "healthy"
    child = os.fork()
    if child == 0:
        os._exit(0 if checks.check("x", refresh=True)["status"] == "healthy" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert proxy.connections == 2
    assert result_of(checks)["status"] == "healthy"
    assert proxy.connections == 2


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
@pytest.mark.parametrize(
    ("mode", "error_types"),
    [
        ("silent", {"TimeoutError"}),
        ("closes", {"ConnectionResetError"}),
        ("resets", {"ConnectionResetError"}),
        ("garbage", {"ProtocolError"}),
        ("banner", {"ProtocolError", "TLSError"}),  # "SSH-" starts like "yes, TLS"
        ("drip", {"ProtocolError"}),
        ("flood", {"ProtocolError"}),
    ],
)
def test_misbehaving_server(mode: str, error_types: set[str], sslmode: str) -> None:
    with misbehaving.MODES[mode]() as bad:
        result = run(spec("postgres", server(bad, sslmode=sslmode)), 1.0)
        assert result["error_type"] in error_types, result
        wait_until(lambda: bad.active == 0 or mode in {"drip", "silent"}, 10)


def test_closed_port_is_refused() -> None:
    where = {"host": "127.0.0.1", "port": misbehaving.refused_port(), "user": USER, "password": PASSWORD}
    assert run(spec("postgres", where))["error_type"] == "ConnectionRefusedError"


def test_unanswered_address_times_out() -> None:
    with misbehaving.full_backlog() as hole:
        where = server(hole, connect_timeout=1)
        assert run(spec("postgres", where), 0.5)["error_type"] == "TimeoutError"
        result = run(spec("postgres", where), 4.0)
        assert result["error_type"] == "TimeoutError"
        assert "after 1 s (while connecting)" in result["message"]


def test_second_host_is_tried_after_refusal(own: Postgres) -> None:
    where = server(own, host=f"{own.host},{own.host}")
    del where["port"]
    both = f"{misbehaving.refused_port()},{own.port}"
    os.environ["PGPORT"] = both
    try:
        assert run(spec("postgres", where))["status"] == "healthy"
    finally:
        del os.environ["PGPORT"]


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


READY = message(b"R", struct.pack(">i", 0)) + message(b"Z", b"I")


def hostile(after_login: Callable[[asyncio.StreamWriter], Any]) -> misbehaving.MisbehavingServer:
    """Lets anyone in, and answers the first message as it likes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(READY)
        await reader.read(1000)
        await after_login(writer)

    return misbehaving.MisbehavingServer(behave)


async def endless_rows(writer: asyncio.StreamWriter) -> None:
    writer.write(message(b"T", struct.pack(">h", 0)))
    while True:
        writer.write(message(b"D", struct.pack(">h", 0)) * 1000)
        await writer.drain()


async def endless_notices(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 60_000 + b"\0\0"))
        await writer.drain()


async def endless_parameters(writer: asyncio.StreamWriter) -> None:
    number = 0
    while True:
        number += 1
        writer.write(message(b"S", b"name%d\0" % number + b"x" * 1000 + b"\0"))
        await writer.drain()


async def huge_row(writer: asyncio.StreamWriter) -> None:
    writer.write(message(b"T", struct.pack(">h", 0)) + b"D" + struct.pack(">i", 2**31 - 1))
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def wrong_rows(writer: asyncio.StreamWriter) -> None:
    complete = message(b"C", b"SELECT 1\0")
    writer.write((message(b"T", struct.pack(">h", 0)) + complete) * 3 + message(b"Z", b"I"))
    await writer.drain()


async def invalid_text(writer: asyncio.StreamWriter) -> None:
    column = b"c\0" + struct.pack(">ihihih", 0, 0, 25, -1, -1, 0)
    row = struct.pack(">hi", 1, 3) + b"\xff\xfe\xfd"
    body = message(b"T", struct.pack(">h", 1) + column) + message(b"D", row) + message(b"C", b"SELECT 1\0")
    writer.write(body * 2 + message(b"Z", b"I"))
    await writer.drain()


async def secrets_in_an_error(writer: asyncio.StreamWriter) -> None:
    text = b"SERROR\0VERROR\0C<script>planted-secret\0Mplanted-secret\0Dplanted-secret\0\0"
    writer.write(message(b"E", text) + message(b"Z", b"I"))
    await writer.drain()


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize(
    ("answer", "error_types"),
    [
        (endless_rows, {"ResponseTooLargeError"}),
        (endless_notices, {"ResponseTooLargeError"}),
        (endless_parameters, {"ResponseTooLargeError"}),
        (huge_row, {"ResponseTooLargeError"}),
        (wrong_rows, {"ProtocolError"}),
        (invalid_text, {"ProtocolError", "ConnectionResetError"}),
        (secrets_in_an_error, {"RequestRejectedError"}),
    ],
)
def test_hostile_server(answer: Callable[[asyncio.StreamWriter], Any], error_types: set[str]) -> None:
    before = resident_megabytes()
    with hostile(answer) as bad:
        result = run(spec("postgres", server(bad, sslmode="disable")), 5.0)
        assert result["error_type"] in error_types, result
        assert "planted" not in str(result)
        assert resident_megabytes() - before < 100
        wait_until(lambda: bad.active == 0, 10)


def test_hostile_server__that_hangs_in_its_response() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(READY)
        await reader.read(1000)
        writer.write(message(b"T", struct.pack(">h", 0)))
        while await reader.read(1000):
            pass

    with misbehaving.MisbehavingServer(behave) as bad:
        result = run(spec("postgres", server(bad, sslmode="disable")), 0.5)
        assert result["error_type"] == "TimeoutError"
        # The second is the request to cancel.
        wait_until(lambda: bad.connections == 2 and bad.active == 0, 10)
