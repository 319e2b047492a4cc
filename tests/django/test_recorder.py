"""The recorder on the project's SQLite: what is kept, once, in how many queries, and what happens when it cannot be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from django_lifesigns.history import buffer, recorder, rows, write_behind
from django_lifesigns.history.deduplicator import Deduplicator
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from lifesigns import CheckFailed, Engine
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WAIT = 10.0


@pytest.fixture(autouse=True)
def fresh(as_in_a_server: None) -> Iterator[None]:
    """A recorder of each test's own."""
    recorder._current.clear()
    yield
    recorder.flush(WAIT)
    recorder._current.clear()


def result(status: str = "healthy", **more: Any) -> dict[str, Any]:
    at = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    return {"status": status, "message": "m", "timestamp": at, "duration_ms": 1.5, "cached": False, **more}


def report(**checks: dict[str, Any]) -> dict[str, Any]:
    return {"checks": checks, "correlation_id": str(uuid4())}


def kept() -> list[str]:
    return sorted(HealthCheckLog.objects.values_list("check_name", flat=True))


def test_record__rows_and_counts() -> None:
    sweep = report(a=result(details={"free": 1}), b=result("degraded"), c=result("error", message="broken"))
    assert recorder.record(sweep, wait=WAIT)
    rows = {row.check_name: row for row in HealthCheckLog.objects.all()}
    assert {name: row.status for name, row in rows.items()} == {"a": "healthy", "b": "degraded", "c": "error"}
    assert {str(row.correlation_id) for row in rows.values()} == {sweep["correlation_id"]}
    assert (rows["a"].details, rows["a"].duration_ms, rows["c"].message) == ({"free": 1}, 1.5, "broken")
    assert rows["a"].checked_at == datetime.fromisoformat(sweep["checks"]["a"]["timestamp"].replace("Z", "+00:00"))
    counts = ServiceAvailability.objects.order_by("service_name").values_list("total_checks", "uptime_percentage")
    assert list(counts) == [(1, 100.0), (1, 0.0), (1, 0.0)]


def test_record__a_real_sweep() -> None:
    engine = Engine()
    engine.register("mine", lambda: {"status": "degraded", "message": "so so", "details": {"n": [1, 2]}})
    assert recorder.record(engine.run(), wait=WAIT)
    row = HealthCheckLog.objects.get()
    assert (row.check_name, row.status, row.details) == ("mine", "degraded", {"n": [1, 2]})


def test_record__each_run_once() -> None:
    engine = Engine()
    engine.register("mine", lambda: True)
    first, second = engine.run(refresh=True), engine.run()
    again = {**first, "correlation_id": str(uuid4())}  # as a sweep that had joined the same run
    for sweep in (first, second, again):
        assert recorder.record(sweep, wait=WAIT)
    assert kept() == ["mine"]
    recorder.record(engine.run(refresh=True), wait=WAIT)
    assert kept() == ["mine", "mine"]


@pytest.mark.parametrize(
    "left_out",
    [result("skipped"), result("error", pending=True)],
    ids=["skipped", "pending"],
)
def test_record__what_is_no_result_of_a_run(left_out: dict[str, Any]) -> None:
    assert recorder.record(report(a=left_out), wait=WAIT)
    assert kept() == []
    assert not ServiceAvailability.objects.exists()


def test_record__found_before_the_first_request() -> None:
    """As in the background: it is new to the history, though known from before to callers."""
    sweep = report(a=result(cached=True))
    for _ in range(2):
        assert recorder.record(sweep, wait=WAIT)
    assert kept() == ["a"]


@pytest.mark.parametrize("error_type", ["CircuitOpenError", "DependencyError", "StillRunningError", "NotStartedError"])
def test_record_answer_without_run_is_no_history(error_type: str) -> None:
    assert recorder.record(report(a=result("error", error_type=error_type)), wait=WAIT)
    assert kept() == []
    assert not ServiceAvailability.objects.exists()


def test_record_run_hidden_by_open_circuit_is_kept_once() -> None:
    """The run that opens the circuit is seen only as the last error beside the refusals."""
    last = {"message": "refused", "error_type": "ConnectionError", "timestamp": result()["timestamp"]}
    for _ in range(3):
        assert recorder.record(report(a=result("error", error_type="CircuitOpenError", last_error=last)), wait=WAIT)
    row = HealthCheckLog.objects.get()
    assert (row.status, row.message, row.duration_ms) == ("error", "refused", 0.0)
    assert ServiceAvailability.objects.get().failed_checks == 1


def test_record_run_that_opens_real_circuit_is_kept_once() -> None:
    def fail() -> None:
        raise CheckFailed("down")

    engine = Engine(log=False)
    engine.register("mine", fail, breaker={"failures": 2, "wait": 60})
    assert recorder.record(engine.run(), wait=WAIT)
    engine.run(refresh=True)
    for _ in range(3):
        assert recorder.record(engine.run(refresh=True), wait=WAIT)
    assert HealthCheckLog.objects.count() == 2


def test_deduplicator_hidden_runs_are_newer_than_all_others() -> None:
    known, now = Deduplicator(), datetime(2026, 10, 25, 3)
    assert known.add("a", now)
    assert not known.add("a", now, only_newer=True)
    assert not known.add("a", now - timedelta(minutes=1), only_newer=True)
    assert known.add("a", now - timedelta(minutes=1)), "a clock that is set back, as every autumn without USE_TZ"
    assert known.add("a", now + timedelta(minutes=1), only_newer=True)


@pytest.mark.parametrize(("log", "availability"), [(True, False), (False, True), (False, False)])
def test_record__one_or_the_other(log: bool, availability: bool) -> None:
    assert recorder.record(report(a=result()), log=log, availability=availability, wait=WAIT)
    assert HealthCheckLog.objects.exists() == log
    assert ServiceAvailability.objects.exists() == availability


@pytest.mark.parametrize("checks", [1, 22, 100])
def test_record__at_most_four_queries(checks: int, django_assert_max_num_queries: Any) -> None:
    sweeps = write_behind.Recorder()
    for _ in range(2):  # with and without rows of availability to begin with
        sweeps.add(report(**{f"check_{number}": result() for number in range(checks)}), log=True, availability=True)
        with django_assert_max_num_queries(4):
            sweeps._write()
    assert HealthCheckLog.objects.count() == 2 * checks
    assert set(ServiceAvailability.objects.values_list("total_checks", flat=True)) == {2}


def test_record__returns_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(rows, "insert", lambda batch: go_on.wait(WAIT))
    assert not recorder.record(report(a=result()))
    assert not recorder.flush(0.05)
    go_on.set()
    assert recorder.flush(WAIT)


def test_record__a_nul_character() -> None:
    recorder.record(report(a=result(message="a\x00b", details={"k\x00": ["\x00"]})), wait=WAIT)
    row = HealthCheckLog.objects.get()
    assert (row.message, row.details) == ("a\ufffdb", {"k\ufffd": ["\ufffd"]})


def test_failure__what_waits_is_written_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "django_lifesigns")

    def broken(batch: Any) -> None:
        raise OperationalError("password=hunter2")

    with monkeypatch.context() as patched:
        patched.setattr(rows, "insert", broken)
        assert not recorder.record(report(a=result()), wait=WAIT)
        assert not recorder.record(report(b=result()), wait=WAIT)
        assert kept() == []
    assert recorder.record(report(c=result()), wait=WAIT)
    assert kept() == ["a", "b", "c"]
    assert [record.getMessage() for record in caplog.records if record.name == "django_lifesigns"] == [
        "history: cannot be written (OperationalError), 1 results wait",
        "history: written again",
    ]
    assert "hunter2" not in caplog.text


def test_failure__nothing_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_lifesigns.history.availability import AvailabilityManager

    def broken(*_: Any) -> None:
        raise OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(AvailabilityManager, "record", broken)
        assert not recorder.record(report(a=result()), wait=WAIT)
    assert recorder.flush(WAIT)
    assert kept() == ["a"]
    assert ServiceAvailability.objects.get().total_checks == 1


def test_failure__written_soon_after_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_behind, "RETRY_SECONDS", 0.01)

    def broken(batch: Any) -> None:
        raise OperationalError

    recorder.flush_soon()  # with nothing to do
    with monkeypatch.context() as patched:
        patched.setattr(rows, "insert", broken)
        recorder.record(report(a=result()), wait=WAIT)

    def written() -> bool:
        recorder.flush_soon()
        return kept() == ["a"]

    wait_until(written)


def test_failure__a_row_that_no_database_takes(caplog: pytest.LogCaptureFixture) -> None:
    unfit = result(details={"n": {1, 2}})  # a set is no JSON
    assert recorder.record(report(a=result(), b=unfit, c=result()), wait=WAIT)
    assert kept() == ["a", "c"]
    assert "history: a result of b cannot be kept (TypeError)" in caplog.messages


def test_buffer__bounded_oldest_dropped_first(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buffer, "CAPACITY", 3)
    sweeps = write_behind.Recorder()
    for number in range(5):
        sweeps.add(report(**{f"check_{number}": result()}), log=True, availability=True)
    assert (len(sweeps.buffer), sweeps.buffer.dropped) == (3, 2)
    full = [message for message in caplog.messages if "the buffer is full" in message]
    assert full == ["history: the buffer is full, 1 results dropped until now"], (
        "once, and then each time it is refilled"
    )
    sweeps._write()
    assert kept() == ["check_2", "check_3", "check_4"]


def test_buffer__what_is_being_put_back_still_counts() -> None:
    """A write that failed puts back what it took, while others look whether all is written."""
    waits, end = buffer.Buffer(), time.monotonic() + 1.0
    found = rows.row_of("a", result(), None)
    assert found
    waits.put([buffer.PendingRow(found[0], True, True)])

    def fail() -> None:
        while time.monotonic() < end:
            waits.requeue(waits.take(1))

    thread = threading.Thread(target=fail)
    thread.start()
    seen = {len(waits)}
    while thread.is_alive():
        seen.add(len(waits))
    assert seen == {1}


def test_log__carries_the_correlation_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_lifesigns")
    sweep = report(a=result(), b=result("degraded"), c=result("error", message="two\nlines"))
    recorder.record(sweep, wait=WAIT)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [("INFO", "b is degraded: m"), ("WARNING", "c is error: two lines")]
    assert {vars(record)["correlation_id"] for record in caplog.records} == {sweep["correlation_id"]}
    assert [vars(record)["check_name"] for record in caplog.records] == ["b", "c"]


def test_record__without_the_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_health_check_log RENAME TO elsewhere")
    try:
        assert not recorder.record(report(a=result()), wait=WAIT)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO core_health_check_log")
    assert recorder.flush(WAIT)
    assert kept() == ["a"]
