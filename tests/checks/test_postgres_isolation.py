"""No PostgreSQL check hurts another one, or the server: slow statements, slow servers, files that block, forks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lifesigns
from tests.checks.postgres_server import KINDS, WELL, every_kind, result_of, server, spec
from tests.services import Postgres, Proxy, wait_until

VITAL = ("postgres", "postgis", "postgres_functions", "task_tables")
DIAGNOSTIC = tuple(kind for kind in KINDS if kind not in VITAL)
SWEEPS = 12
MOST_SESSIONS = 12  # six for the vital checks, six for the diagnostic ones
TOLERANCE_MS = 50


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that tests may lock, suspend and overload."""
    with Postgres(max_connections=200) as own:
        yield own


def assert_as_usual(checks: lifesigns.Engine, usual: lifesigns.Engine, names: tuple[str, ...]) -> None:
    """In each of 12 sweeps the usual statuses, and durations within 50 ms of those of `usual`, measured in turn."""
    slowest = {engine: dict.fromkeys(names, 0.0) for engine in (usual, checks)}
    for _ in range(SWEEPS):
        for engine, found in slowest.items():
            report = engine.run(refresh=True)
            for name in names:
                result = report["checks"][name]
                assert result["status"] == WELL[name], result
                found[name] = max(found[name], result["duration_ms"])
    for name in names:
        assert slowest[checks][name] <= slowest[usual][name] + TOLERANCE_MS, (name, slowest[checks], slowest[usual])


def warm(*engines: lifesigns.Engine) -> None:
    """Open the kept sessions and let the server load what it loads once for each."""
    for engine in engines:
        for _ in range(2):
            engine.run([*VITAL, *DIAGNOSTIC], refresh=True)


def with_slow(where: dict[str, Any], **slow: dict[str, Any]) -> lifesigns.Engine:
    checks = lifesigns.Engine(default_timeout=5.0)
    for kind, one in every_kind(where).items():
        checks.register(kind, one)
    for name, one in slow.items():
        checks.register(name, one, timeout=1.5)
    return checks


@pytest.mark.alone
@pytest.mark.parametrize("slow", ["pg_sleep", "lock"])
def test_slow_diagnostic_statement_delays_no_other_check(own: Postgres, slow: str) -> None:
    where = server(own, application_name=f"slow-{slow}")
    own.heartbeat()
    usual = with_slow(server(own, application_name=f"usual-{slow}"))
    if slow == "pg_sleep":
        sql = "SELECT 'q', count(*), NULL::timestamptz FROM (SELECT pg_sleep(0.6)) s"
        checks = with_slow(where, slow=spec("pending_tasks", where, sql=sql))
        warm(checks, usual)
        assert_as_usual(checks, usual, VITAL + DIAGNOSTIC)
    else:
        own.sql("CREATE TABLE IF NOT EXISTS held (queue_name text, at timestamptz); GRANT ALL ON held TO app")
        sql = "SELECT queue_name, count(*), min(at) FROM held GROUP BY 1"
        checks = with_slow(where, slow=spec("pending_tasks", where, sql=sql, tables=["held"]))
        warm(checks, usual)
        with psycopg.connect(own.dsn) as holder:
            holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
            assert_as_usual(checks, usual, VITAL + DIAGNOSTIC)
    count = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow-{slow}'"
    assert int(own.sql(count)) <= MOST_SESSIONS


@pytest.mark.alone
def test_slow_vital_statement_delays_no_other_vital_check(own: Postgres) -> None:
    """A lock on the session table holds connectivity up for the lock time-out of 1 s."""
    where = server(own, application_name="locked")
    checks, usual = with_slow(where), with_slow(server(own, application_name="unlocked"))
    warm(checks, usual)
    with psycopg.connect(own.dsn) as holder:
        holder.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        assert_as_usual(checks, usual, ("postgis", "postgres_functions", "task_tables"))


def test_slow_server_gets_each_statement_once(own: Postgres) -> None:
    """Every statement of ours takes longer than half of its time, and none is sent a second time."""
    own.sql(
        "CREATE OR REPLACE FUNCTION count_call(call text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN PERFORM nextval('calls'); PERFORM pg_sleep(1.5); RETURN 1; END $$;"
        "CREATE SEQUENCE IF NOT EXISTS calls; GRANT ALL ON SEQUENCE calls TO app"
    )
    where = server(own, application_name="once", options="-c transaction_read_only=off -c statement_timeout=0")
    sql = "SELECT count_call('x')"
    checks = lifesigns.Engine(default_timeout=2.5)
    names = [f"workers_{number}" for number in range(3)]
    for name in names:
        checks.register(name, spec("task_workers", where, sql=sql, tables=["pg_class"]))
    warm = spec("task_workers", where, sql="SELECT 1", tables=["pg_class"])
    checks.register("warm", warm)
    result_of(checks, "warm")  # a kept session, as in production
    time.sleep(1.1)
    before = int(own.sql("SELECT last_value FROM calls"))
    for sweep in range(1, 5):
        report = checks.run(names, refresh=True)
        assert {result["status"] for result in report["checks"].values()} == {"healthy"}
        calls = int(own.sql("SELECT last_value FROM calls")) - before
        # One more for each message that moved, at the first sign of slowness, from behind a statement.
        assert calls <= sweep * len(names) + len(names), sweep


def test_suspended_server_gets_no_statement_twice(own: Postgres) -> None:
    """Silence of a whole server is no proof of a dead session."""
    with Proxy(own.host, own.port) as proxy:
        checks = lifesigns.Engine(default_timeout=2.0)
        checks.register("x", spec("postgres", server(proxy, application_name="suspended-once")))
        assert result_of(checks, "x")["status"] == "healthy"
        own.suspend()
        try:
            proxy.reset_counters()
            assert result_of(checks, "x")["error_type"] == "TimeoutError"
            sent = proxy.bytes_up
        finally:
            own.resume()
        assert sent < 2_000, "one statement, one start-up message, one request to cancel"
        wait_until(lambda: result_of(checks, "x")["status"] == "healthy", 10)


@pytest.mark.alone
@pytest.mark.parametrize("parameter", ["passfile", "sslrootcert", "service"])
def test_file_that_blocks_fails_its_own_check_only(
    own: Postgres, parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    if parameter == "service":
        monkeypatch.setenv("PGSERVICEFILE", str(fifo))
        blocked = server(own, service="blocked", application_name="blocked-service")
    else:
        blocked = server(own, application_name=f"blocked-{parameter}", **{parameter: str(fifo)})
    if parameter == "passfile":
        del blocked["password"]
    if parameter == "sslrootcert":
        blocked["sslmode"] = "require"
    checks = with_slow(server(own, application_name=f"beside-{parameter}"))
    usual = with_slow(server(own, application_name=f"usual-{parameter}"))
    warm(checks, usual)
    checks.register("blocked", spec("postgres", blocked), timeout=0.5)
    assert_as_usual(checks, usual, VITAL + DIAGNOSTIC)
    for _ in range(3):
        started = time.monotonic()
        result = result_of(checks, "blocked")
        assert result["status"] == "error"
        assert time.monotonic() - started < 1.5
    threads = [path.read_text() for path in Path("/proc/self/task").glob("*/wchan")]
    assert sum("fifo" in thread for thread in threads) <= 1, "one thread for each file, however many runs"
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go


def test_forked_child_closes_its_copies(own: Postgres) -> None:
    """The server sees the end of a session that the parent closes, though a child lives that was forked meanwhile."""
    checks = lifesigns.Engine(default_timeout=5.0)
    checks.register("x", spec("postgres", server(own, application_name="forked")))
    assert result_of(checks, "x")["status"] == "healthy"
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forked'"
    assert own.sql(count) == "1"
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        to_server = sockets(os.getpid()) & connected_sockets(own.port)
        assert to_server
        wait_until(lambda: not to_server & sockets(child), 5)
        lifesigns.close_connections()
        wait_until(lambda: own.sql(count) == "0", 5)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def sockets(pid: int) -> set[str]:
    """The sockets of a process, as the kernel names them."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(path))
    return {name for name in found if name.startswith("socket:")}


def connected_sockets(port: int) -> set[str]:
    """This host's sockets that are connected to a local port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{fields[9]}]" for fields in lines if int(fields[2].split(":")[1], 16) == port}


def test_check_without_a_session_until_its_deadline_is_no_run(own: Postgres) -> None:
    """All diagnostic sessions are in use: nothing was found out, and the last result stands."""
    where = server(own, application_name="crowded", options="-c statement_timeout=0")
    checks = lifesigns.Engine(default_timeout=2.5)
    slow = [f"slow_{number}" for number in range(MOST_SESSIONS // 2)]
    for name in slow:
        sql = f"SELECT '{name}', count(*), NULL::timestamptz FROM (SELECT pg_sleep(10)) s"
        checks.register(name, spec("pending_tasks", where, sql=sql))
    checks.register("late", spec("task_workers", where), timeout=0.5)
    checks.register("new", spec("task_workers", where), timeout=0.5)
    before = result_of(checks, "late")
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(checks.run(slow, refresh=True)))
    waiting.start()
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowded' AND wait_event = 'PgSleep'"
    wait_until(lambda: own.sql(sleeping) == str(len(slow)))
    late, new = result_of(checks, "late"), result_of(checks, "new")
    assert (late["status"], late["timestamp"], late["cached"]) == ("healthy", before["timestamp"], True)
    assert (new["error_type"], new["pending"]) == ("PendingError", True)
    waiting.join()
    assert {result["error_type"] for result in found[0]["checks"].values()} == {"TimeoutError"}


def test_sessions_that_an_administrator_ends_during_a_sweep_are_replaced(own: Postgres) -> None:
    """Not all of them notice at once: some are still used after another was found to be ended."""
    checks = with_slow(server(own, application_name="ended"))
    warm(checks)
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'ended'"
    with psycopg.connect(own.dsn, autocommit=True) as administrator:
        for milliseconds in range(60):
            ending = threading.Timer(milliseconds % 20 / 1_000, administrator.execute, [end])
            ending.start()
            results = checks.run(refresh=True)["checks"]
            ending.join()
            messages = {name: result["message"] for name, result in results.items()}
            assert {name: result["status"] for name, result in results.items()} == WELL, messages


@pytest.mark.alone
def test_several_slow_statements_delay_no_other_check(own: Postgres) -> None:
    where = server(own, application_name="several")
    checks = lifesigns.Engine(default_timeout=3.0)
    for number in range(4):
        sql = f"SELECT 'q{number}', count(*), NULL::timestamptz FROM (SELECT pg_sleep(1.5)) s"
        checks.register(f"slow_{number}", spec("pending_tasks", where, sql=sql))
    quick = "SELECT 'q', count(*), NULL::timestamptz FROM background_task"
    checks.register("quick", spec("pending_tasks", where, sql=quick))
    for kind in VITAL:
        checks.register(kind, spec(kind, where))
    for _ in range(2):
        results = checks.run(refresh=True)["checks"]
        assert {name: result.get("error_type") for name, result in results.items()} == dict.fromkeys(results)
        assert max(results[name]["duration_ms"] for name in ("quick", *VITAL)) < 1_000


def test_sessions_are_bounded_under_many_slow_statements(own: Postgres) -> None:
    where = server(own, application_name="bounded", options="-c statement_timeout=0")
    checks = lifesigns.Engine(default_timeout=3.0)
    for number in range(20):
        sql = f"SELECT 'q{number}', count(*), NULL::timestamptz FROM (SELECT pg_sleep(0.3)) s"
        checks.register(f"slow_{number}", spec("pending_tasks", where, sql=sql))
    for kind in VITAL:
        checks.register(kind, spec(kind, where))
    most = 0
    finished = threading.Event()

    def watch() -> None:
        nonlocal most
        with psycopg.connect(own.dsn, autocommit=True) as watcher:
            while not finished.is_set():
                row = watcher.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bounded'"
                ).fetchone()
                most = max(most, row[0] if row else 0)
                time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3):
            checks.run(refresh=True)
    finally:
        finished.set()
        watcher.join()
    # Beside them, sessions that are being closed.
    assert most <= MOST_SESSIONS + 2
