"""History without a request: recorded by one process at a time, each result once, to the last one at the end."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.history import background, recorder
from django_lifesigns.history.background import BackgroundRecording
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from lifesigns import CheckFailed, Engine
from tests.django.projects import environment, migrate, run
from tests.django.serving import GUNICORN, UVICORN, answers, serving
from tests.services import Postgres, free_port, wait_until

LIFESIGNS = {"BACKGROUND": True, "DEFAULT_TTL": 2, "DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
SERVERS = {
    "gunicorn": (*GUNICORN, "--workers", "2"),
    "gunicorn-preload": (*GUNICORN, "--workers", "2", "--preload"),
    "uvicorn": (*UVICORN, "--workers", "2"),
}


def project(folder: Path, **lifesigns: Any) -> dict[str, Any]:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3"), "OPTIONS": {"timeout": 20}}
    return {"DATABASES": {"default": database}, "LIFESIGNS": {**LIFESIGNS, **lifesigns}}


def rows(folder: Path, check: str = "default_cache") -> list[tuple[str, str]]:
    """When each result of the check was found, and its status."""
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database:
        sql = "SELECT checked_at, status FROM core_health_check_log WHERE check_name = ? ORDER BY 1"
        return database.execute(sql, [check]).fetchall()


@pytest.fixture
def fresh(as_in_a_server: None) -> Iterator[None]:
    recorder._current.clear()
    yield
    gc.collect()  # the recording ends with its object
    recorder.flush(10)
    recorder._forget()


@pytest.mark.usefixtures("fresh")
@pytest.mark.django_db(transaction=True)
def test_recording_keeps_every_result_of_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SHORTEST_PAUSE", 0.1)
    monkeypatch.setattr(background, "PAUSES", 5)
    runs: list[float] = []
    engine = Engine(default_ttl=0.5, log=False)
    engine.register("mine", lambda: runs.append(time.monotonic()))
    engine.start_background()
    recording = BackgroundRecording(engine, 0.5)
    recording.start()
    wait_until(lambda: len(runs) > 10, 60)
    wait_until(lambda: HealthCheckLog.objects.count() > 10, 60)
    recording.record()
    found = len(runs)
    assert recorder.flush(10)
    assert HealthCheckLog.objects.count() >= found - 1, "all but the one that runs"
    times = list(HealthCheckLog.objects.values_list("checked_at", flat=True))
    assert len(set(times)) == len(times)
    wait_until(lambda: ServiceAvailability.objects.get().total_checks >= len(times), 60)


@pytest.mark.usefixtures("fresh")
@pytest.mark.django_db(transaction=True)
def test_recording_keeps_a_change_that_the_next_run_hides() -> None:
    """Nothing but changes is written: the pauses are longer than this test."""
    down: list[bool] = []

    def check() -> None:
        if down:
            raise CheckFailed("down")

    engine = Engine(log=False)
    engine.register("mine", check)
    engine.run()
    recording = BackgroundRecording(engine, 3_600)
    recording.start()

    def written(count: int) -> bool:
        recorder.flush(0)  # what came while the write before it was ending waits for the next one
        return HealthCheckLog.objects.count() == count

    # What was known before.
    wait_until(lambda: written(1), 60)
    for number in range(2, 7):
        down[:] = [True] * (number % 2 == 0)
        engine.run(refresh=True)
        wait_until(lambda number=number: written(number), 60)  # type: ignore[misc]
    statuses = HealthCheckLog.objects.order_by("checked_at").values_list("status", flat=True)
    assert list(statuses) == ["healthy", "error", "healthy", "error", "healthy", "error"]


@pytest.mark.usefixtures("fresh")
@pytest.mark.django_db(transaction=True)
def test_recording_logs_no_line_for_each_failure(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise CheckFailed("down")

    engine = Engine(log=False)
    engine.register("mine", fail)
    recording = BackgroundRecording(engine, 30)
    for _ in range(3):
        engine.run(refresh=True)
        recording.record()
    assert recorder.flush(10)
    assert HealthCheckLog.objects.count() == 3
    assert [record.message for record in caplog.records if record.name == "django_lifesigns"] == []


@pytest.mark.services
@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
def test_server_records_without_a_request_each_result_once(command: Sequence[str], tmp_path: Path) -> None:
    with serving(command, tmp_path, project(tmp_path)) as server:
        wait_until(lambda: len(rows(tmp_path)) >= 6, 60, server.log)
        found = rows(tmp_path)
        assert {status for _, status in found} == {"healthy"}
        assert max(Counter(at for at, _ in found).values()) == 1


@pytest.mark.services
def test_server_with_record_off_records_nothing(tmp_path: Path) -> None:
    settings = project(tmp_path, RECORD=False, PROBE_SERVER=f"127.0.0.1:{free_port()}")
    with serving(SERVERS["gunicorn"], tmp_path, settings) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        time.sleep(4)
        assert rows(tmp_path) == []


@pytest.mark.services
def test_worker_that_is_killed_is_replaced_as_recorder(tmp_path: Path) -> None:
    with serving(SERVERS["gunicorn"], tmp_path, project(tmp_path)) as server:
        wait_until(lambda: len(rows(tmp_path)) >= 2, 60, server.log)
        for _ in range(3):
            os.kill(server.workers()[0], signal.SIGKILL)
            before = len(rows(tmp_path))
            wait_until(lambda before=before: len(rows(tmp_path)) >= before + 3, 60, server.log())  # type: ignore[misc]


PROGRAM = """
import os, signal, sys, time
import django
django.setup()
from django_lifesigns.history import recorder
from django_lifesigns.history.background import BackgroundRecording
from django_lifesigns.models import HealthCheckLog
from lifesigns import Engine
from tests.django.recording import report
engine = Engine(log=False)
engine.register("mine", lambda: True)
recording = BackgroundRecording(engine, 3_600)
recording.start()
while not (engine.is_recording() and recorder._current):  # the first turn
    time.sleep(0.01)
assert recorder.flush(5)
recorder._recorder().add(report(0, 0), log=True, availability=True)
print(engine.run(refresh=True)["checks"]["mine"]["timestamp"], flush=True)
{end}
"""
ENDS = {
    "end": "",
    "exit": "sys.exit(3)",
    "exception": "raise RuntimeError",
    "signal": "signal.signal(15, lambda *_: sys.exit()); os.kill(os.getpid(), 15); time.sleep(9)",
    "multiprocessing": "",
}
FORKED = """
import multiprocessing
def child():
{program}
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
"""


@pytest.mark.parametrize("end", ENDS)
def test_end_of_a_process_writes_what_waits(end: str, tmp_path: Path) -> None:
    settings = project(tmp_path)
    migrate(tmp_path, settings)
    program = PROGRAM.format(end=ENDS[end])
    if end == "multiprocessing":
        program = FORKED.format(program="".join(f"    {line}\n" for line in program.splitlines()))
    done = run(tmp_path, settings, "-W", "ignore", "-c", program)
    assert done.stdout, done.stderr
    last = done.stdout.strip().replace("T", " ").removesuffix("Z")
    assert len(rows(tmp_path, "good")) == 1, "it was buffered"
    assert last in [at for at, _ in rows(tmp_path, "mine")], "it was found since the last turn"


HANGING = """
import sys, time
import django
django.setup()
from django_lifesigns.history import recorder
from tests.django.recording import report
assert recorder.record(report(0, 0), wait=20)
print("ready", flush=True)
sys.stdin.readline()
recorder.record(report(0, 1))
"""


@pytest.mark.services
def test_end_of_a_process_does_not_wait_for_a_database_that_hangs(postgres: Postgres, tmp_path: Path) -> None:
    settings = {"DATABASES": {"default": postgres.database(engine="django.db.backends.postgresql")}}
    migrate(tmp_path, settings)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HANGING],
        env=environment(tmp_path, settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        postgres.suspend()
        try:
            began = time.monotonic()
            _, log = process.communicate("\n", timeout=30)
            assert 1.5 < time.monotonic() - began < 10
        finally:
            postgres.resume()
        assert process.returncode == 0
        assert "history: 2 results are not written, and this process ends" in log


@pytest.mark.usefixtures("fresh")
@pytest.mark.django_db(transaction=True)
def test_turns_stay_with_one_process_until_it_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LONGEST_PAUSE", 3_600.0)
    engines = [Engine(log=False, share="host", application="turns", store_path=tmp_path / "store") for _ in range(2)]
    first, second = (BackgroundRecording(engine, 7_200) for engine in engines)
    for _ in range(3):
        first._look()
        second._look()
        assert [engine.is_recording() for engine in engines] == [True, False]
    second._pause = 0.1  # so long ago is the last turn
    time.sleep(0.2)
    second._look()
    assert engines[1].is_recording()


def test_pace_follows_the_shortest_lived_results() -> None:
    pauses = [BackgroundRecording(Engine(), period)._pause for period in (0.1, 5, 30, 3_600)]
    assert pauses == [0.5, 2.5, 15, 15]
