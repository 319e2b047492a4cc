"""The one kept connection per server: shared by all checks, replaced when it dies, left when a server hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from tests.checks.postgres_server import (
    KINDS,
    SLEEPING,
    WELL,
    ask,
    engine,
    every_kind,
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


def test_all_checks_of_a_database_share_a_connection_and_a_round_trip(own: Postgres, proxy: Proxy) -> None:
    own.heartbeat()
    checks = engine(**every_kind(server(proxy)))
    assert statuses(checks.run(refresh=True)) == WELL
    assert proxy.connections == 1
    round_trips = []
    for _ in range(3):
        proxy.reset_counters()
        assert statuses(checks.run(refresh=True)) == WELL
        assert proxy.connections == 0
        round_trips.append(proxy.round_trips)
    assert proxy.open_connections == 1
    # One more for each time that, on a busy machine, the thread which sends the questions has to stop between two.
    assert min(round_trips) <= 2
    assert max(round_trips) < len(KINDS)


def test_engines_of_a_process_share_it_too(own: Postgres, proxy: Proxy) -> None:
    for _ in range(3):
        assert run(spec("postgres", server(proxy)))["status"] == "healthy"
    assert proxy.connections == 1


def test_close_connections__when_they_are_asked_no_more(own: Postgres, proxy: Proxy) -> None:
    slow = spec("task_workers", server(proxy), sql="SELECT count(*) FROM (SELECT pg_sleep(0.5)) s")
    checks = engine(slow=slow, **every_kind(server(proxy)))
    assert checks.check("slow")["status"] == "healthy"
    assert checks.check("slow", refresh=True, deadline=0.0)["cached"] is True
    lifesigns.close_connections()
    assert checks.check("slow", refresh=True)["status"] == "healthy", "what was asked is answered"
    wait_until(lambda: proxy.open_connections == 0)
    assert statuses(checks.run(refresh=True)) == {**WELL, "slow": "healthy"}
    assert proxy.open_connections == 1


def test_checks_that_come_while_another_connects_share_its_failure(own: Postgres, proxy: Proxy) -> None:
    checks = engine(**every_kind(server(proxy, password="wrong-secret")))
    proxy.delay(0.05)  # so that all of them come before it fails
    report = checks.run(refresh=True)
    assert set(statuses(report).values()) == {"error"}
    assert proxy.connections <= 2


@pytest.mark.parametrize("fault", ["restart", "terminate", "cut"])
def test_a_connection_found_dead_is_replaced_before_anything_is_reported(
    own: Postgres, proxy: Proxy, fault: str
) -> None:
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
    assert proxy.open_connections == 1


def test_a_stopped_server_is_an_error_and_a_started_one_is_well(own: Postgres) -> None:
    checks = engine(x=spec("postgres", server(own)))
    assert ask(checks)["status"] == "healthy"
    own.stop()
    try:
        assert ask(checks)["error_type"] == "ConnectionRefusedError"
    finally:
        own.start()
    assert ask(checks)["status"] == "healthy"


@pytest.mark.parametrize("warm", [True, False], ids=["kept", "new"])
def test_a_suspended_server_is_a_timeout_and_a_resumed_one_is_well(own: Postgres, warm: bool) -> None:
    where = server(own, application_name=f"suspended-{warm}")
    checks = engine(0.5, x=spec("postgres", where))
    if warm:
        ask(checks)
    own.suspend()
    try:
        for _ in range(2):
            started = time.monotonic()
            result = ask(checks)
            assert result["error_type"] == "TimeoutError"
            assert time.monotonic() - started < 2
    finally:
        own.resume()
    wait_until(lambda: ask(checks)["status"] == "healthy", 10)
    count = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'suspended-{warm}'"
    wait_until(lambda: own.sql(count) == "1", 10)


def test_a_black_hole_is_a_timeout_and_leaves_no_connection(own: Postgres, proxy: Proxy) -> None:
    checks = engine(0.5, **every_kind(server(proxy)))
    checks.run(refresh=True)
    proxy.drop()
    for _ in range(3):
        report = checks.run(refresh=True)
        assert {result["error_type"] for result in report["checks"].values()} == {"TimeoutError"}
    wait_until(lambda: proxy.open_connections == 0, 10)
    proxy.resume()
    wait_until(lambda: statuses(checks.run(refresh=True)) == WELL, 10)
    wait_until(lambda: proxy.open_connections == 1, 10)


def test_a_kept_connection_that_fell_silent_is_replaced_within_the_run(own: Postgres) -> None:
    checks = engine(2.0, **every_kind(server(own, application_name="silent")))
    assert statuses(checks.run(refresh=True)) == WELL
    where = "FROM pg_stat_activity WHERE application_name = 'silent'"
    backend = int(own.sql(f"SELECT pid {where}"))
    os.kill(backend, signal.SIGSTOP)
    try:
        assert statuses(checks.run(refresh=True)) == WELL
        assert statuses(checks.run(refresh=True)) == WELL
    finally:
        os.kill(backend, signal.SIGCONT)
    wait_until(lambda: own.sql(f"SELECT count(*) {where}") == "1", 10)


def test_a_slow_statement_on_a_kept_connection_is_waited_for(own: Postgres) -> None:
    where = server(own, application_name="slow")
    sql = "SELECT count(*) FROM (SELECT pg_sleep(1.2)) s"
    checks = engine(2.0, slow=spec("task_workers", where, sql=sql), **every_kind(where))
    for _ in range(2):
        assert statuses(checks.run(refresh=True)) == {**WELL, "slow": "healthy"}
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow'"
    wait_until(lambda: int(own.sql(count)) <= 1, 10)


def test_a_query_that_overran_is_cancelled_and_harms_no_other(own: Postgres) -> None:
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


def test_a_query_that_runs_too_long_is_ended_by_the_server(own: Postgres) -> None:
    where = server(own, options="-c statement_timeout=200")
    checks = engine(x=sleeper(where), db=spec("postgres", where))
    result = ask(checks)
    assert result["error_type"] == "TimeoutError"
    assert "while waiting for the answer" in result["message"]
    assert ask(checks, "db")["status"] == "healthy"


@pytest.mark.parametrize(
    ("setting", "options", "value"),
    [
        ("idle_session_timeout", None, "600000"),
        ("statement_timeout", None, "4000"),
        ("statement_timeout", "-c statement_timeout=1234", "1234"),
        ("lock_timeout", None, "1000"),
        ("transaction_read_only", None, "on"),
        ("application_name", None, "lifesigns"),
        ("search_path", "-c search_path=pg_catalog", "pg_catalog"),
    ],
)
def test_settings(own: Postgres, setting: str, options: str | None, value: str) -> None:
    sql = f"SELECT count(*) FROM pg_settings WHERE name = '{setting}' AND setting = '{value}'"
    one = spec("task_workers", server(own, options=options), sql=sql, tables=["pg_class"])
    assert run(one)["details"]["active_workers"] == 1


def test_a_child_has_a_connection_of_its_own(own: Postgres, proxy: Proxy) -> None:
    checks = engine(x=spec("postgres", server(proxy)))
    assert ask(checks)["status"] == "healthy"
    child = os.fork()
    if child == 0:
        os._exit(0 if checks.check("x", refresh=True)["status"] == "healthy" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert proxy.connections == 2
    assert ask(checks)["status"] == "healthy"
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
def test_a_server_that_misbehaves(mode: str, error_types: set[str], sslmode: str) -> None:
    with misbehaving.MODES[mode]() as bad:
        result = run(spec("postgres", server(bad, sslmode=sslmode)), 1.0)
        assert result["error_type"] in error_types, result
        wait_until(lambda: bad.active == 0 or mode in {"drip", "silent"}, 10)


def test_a_port_where_nothing_listens() -> None:
    where = {"host": "127.0.0.1", "port": misbehaving.refused_port(), "user": USER, "password": PASSWORD}
    assert run(spec("postgres", where))["error_type"] == "ConnectionRefusedError"


def test_an_address_that_never_answers() -> None:
    with misbehaving.full_backlog() as hole:
        where = server(hole, connect_timeout=1)
        assert run(spec("postgres", where), 0.5)["error_type"] == "TimeoutError"
        result = run(spec("postgres", where), 4.0)
        assert result["error_type"] == "TimeoutError"
        assert "within 1 s, while connecting" in result["message"]


def test_the_next_host_is_tried(own: Postgres) -> None:
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
    """Lets anyone in, and answers the first question as it likes."""

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
def test_a_hostile_server(answer: Callable[[asyncio.StreamWriter], Any], error_types: set[str]) -> None:
    before = resident_megabytes()
    with hostile(answer) as bad:
        result = run(spec("postgres", server(bad, sslmode="disable")), 5.0)
        assert result["error_type"] in error_types, result
        assert "planted" not in str(result)
        assert resident_megabytes() - before < 100
        wait_until(lambda: bad.active == 0, 10)


def test_a_hostile_server__that_hangs_in_its_answer() -> None:
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
