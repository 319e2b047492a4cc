"""Roll-ups as they are kept: from the engine's counters to rows, once, in few queries, and what becomes of them."""

from __future__ import annotations

import gc
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Sum

from django_lifesigns.history import background, recorder, rows, write_behind
from django_lifesigns.history.background import BackgroundRecording
from django_lifesigns.history.log_every import KeptRows
from django_lifesigns.history.rollups import samples, upsert, writer
from django_lifesigns.history.rollups.figures import DURATIONS, SECONDS
from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE
from django_lifesigns.history.rollups.writer import LIVE, prune, roll_up
from django_lifesigns.models import HealthCheckLog, Rollup
from lifesigns import CheckFailed, Engine
from lifesigns.results import DURATION_BOUNDS
from tests.django.conftest import NewDatabase
from tests.django.projects import environment, run_json
from tests.django.test_rollups_allot import counters
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WAIT = 10.0


@pytest.fixture(autouse=True)
def fresh(as_in_a_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A recorder of each test's own, which takes each sample and each turn."""
    monkeypatch.setattr(samples, "APART_SECONDS", 0.0)
    monkeypatch.setattr(writer, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "ROLL_SECONDS", 0.0)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.0)
    recorder._current.clear()
    yield
    gc.collect()  # a recording ends with its object
    recorder.flush(WAIT)
    recorder._forget()


def record(engine: Engine) -> None:
    assert recorder.record(engine.run(refresh=True), engine, wait=WAIT)


def totals(period: str = "day", **conditions: Any) -> dict[str, float]:
    rows = Rollup.objects.filter(period=period, **conditions)
    found = rows.aggregate(**{name: Sum(name) for name in (*SECONDS, "healthy_runs", "error_runs", "error_stretches")})
    return {name: value for name, value in found.items() if value}


def test_histogram_has_the_bounds_of_the_engines() -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    engine.run()
    assert len(engine.counters()["mine"]["durations"]) == len(DURATIONS) == len(DURATION_BOUNDS) + 1


def test_record_rolls_up_all_time_since_the_first_run() -> None:
    failing: list[bool] = []

    def check() -> None:
        if failing:
            raise CheckFailed("down")

    engine = Engine(log=False)
    engine.register("mine", check)
    started = time.time()
    for number in range(12):
        failing[:] = [True] * (number in (4, 5, 8))
        record(engine)
        time.sleep(0.05)
    last = time.time()
    record(engine)
    elapsed = time.time() - started
    counted = engine.counters()["mine"]
    for period in ("minute", "hour", "day"):
        found = totals(period)
        assert found["healthy"] + found["error"] == pytest.approx(elapsed, abs=0.5)
        assert found["error"] == pytest.approx(counted["error"], abs=0.01)
        assert (found["error_stretches"], found["error_runs"], found["healthy_runs"]) == (2, 3, 10)
    assert Rollup.objects.filter(period="day", until__gte=last - 0.01).count() == 1


def test_record_at_most_six_queries_a_sweep(django_assert_max_num_queries: Any) -> None:
    engine = Engine(log=False)
    for number in range(22):
        engine.register(f"check_{number}", lambda: True)
    mine = write_behind.Recorder()
    for _ in range(4):
        mine.add(engine.run(refresh=True), engine, log=True, availability=True)
        mine.rollups.sample(engine)
        assert mine.rollups.is_pending
        with django_assert_max_num_queries(6):
            mine._write()
        assert not mine.rollups.is_pending
    assert HealthCheckLog.objects.count() == 4 * 22
    assert Rollup.objects.filter(period="day").count() == 22


def test_roll_up_again_adds_nothing() -> None:
    at = float(MINUTE.start(time.time()) - 300)
    since = {"since": at - 1, "epoch": "a" * 16}
    sweep = [{"mine": counters(at + 15 * number, **since, healthy=15.0 * number)} for number in range(10)]
    assert not roll_up(sweep[:1], "default")
    for number in range(1, 10):
        assert roll_up(sweep[:number], "default")
        assert roll_up(sweep[max(0, number - 3) : number], "default")
    roll_up(sweep, "default")
    roll_up(sweep[5:], "default")
    assert totals()["healthy"] == totals("minute")["healthy"] == pytest.approx(135)
    assert totals("total", source="a" * 16)["healthy"] == pytest.approx(135)


def test_roll_up_before_the_first_run_adds_nothing() -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    assert roll_up([engine.counters()], "default")
    assert not Rollup.objects.exists()


def test_roll_up_restart_and_second_host_add_up_and_gaps_stay_unknown() -> None:
    day = float(DAY.start(time.time()) - 2 * DAY.seconds)

    def run(epoch: str, since: float, until: float, status: str) -> None:
        for at in (since + 1, until):
            sample = counters(at, epoch, **{"since": since, status: at - since})
            while not roll_up([{"mine": sample}], "default"):
                pass

    run("1" * 16, day, day + 600, "healthy")
    # Down for 400 s; and another host all the time.
    run("2" * 16, day + 1_000, day + 2_000, "error")
    run("3" * 16, day, day + 2_000, "healthy")
    assert totals(start=int(day)) == {"healthy": pytest.approx(2_600), "error": pytest.approx(1_000)}


def test_roll_up_source_that_counts_for_long_starts_with_its_first_sample() -> None:
    at = time.time()
    sample = counters(at, since=at - 5_000, healthy=5_000.0)
    roll_up([{"mine": sample}], "default")
    roll_up([{"mine": sample}, {"mine": counters(at + 30, since=at - 5_000, healthy=5_030.0)}], "default")
    assert totals()["healthy"] == pytest.approx(30)
    assert Rollup.objects.get(source=LIVE).until == pytest.approx(at)


def test_prune_keeps_what_is_kept(django_assert_num_queries: Any) -> None:
    now = time.time()

    def add(period: str, age: float, source: str = "") -> None:
        Rollup.objects.create(check_name="a", period=period, start=int(now - age), source=source, until=now - age)

    for period in (MINUTE, HOUR, DAY):
        add(period.name, period.kept - 3_600)
        add(period.name, period.kept + 2 * period.whole)
    for source, age in (("1" * 16, 3_600), ("2" * 16, 3 * DAY.seconds), (LIVE, 300 * DAY.seconds)):
        add("total", age, source)
    with django_assert_num_queries(1):
        prune(now, "default")
    left = Rollup.objects.order_by("id").values_list("period", "source")
    assert list(left) == [("minute", ""), ("hour", ""), ("day", ""), ("total", "1" * 16), ("total", LIVE)]


def test_turn_to_prune_comes_once_an_hour_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    started = time.time()
    for _ in range(3):
        record(engine)
    Rollup.objects.create(check_name="a", period="minute", start=0, until=0)
    recorder._recorder().rollups._prune_at = 0.0
    record(engine)
    assert not Rollup.objects.filter(period="minute", start=0).exists()
    recorder._recorder().rollups._due_at = 0.0
    record(engine)
    assert totals()["healthy"] == pytest.approx(time.time() - started, abs=0.5)


def test_table_that_is_missing_holds_up_no_result(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lifesigns_rollup RENAME TO elsewhere")
    try:
        for _ in range(3):
            record(engine)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO lifesigns_rollup")
    assert HealthCheckLog.objects.count() == 3
    for _ in range(2):
        record(engine)
    # Nothing that was counted meanwhile is lost.
    assert totals()["healthy_runs"] == 5
    said = [message for message in caplog.messages if "roll-ups" in message]
    assert said == ["history: roll-ups cannot be written (OperationalError); run migrate?"]


def test_result_that_no_database_takes_holds_up_no_roll_up() -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    for _ in range(3):
        report = engine.run(refresh=True)
        report["checks"]["mine"]["details"] = {"n": {1, 2}}  # a set is no JSON
        assert recorder.record(report, engine, wait=WAIT)
    assert HealthCheckLog.objects.count() == 0
    assert totals()["healthy_runs"] == 3


def test_database_that_is_gone_gets_everything_once_it_is_back() -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    record(engine)
    with (
        patch.object(rows, "insert", side_effect=OperationalError),
        patch.object(writer.RollupWriter, "write", side_effect=OperationalError),
    ):
        for _ in range(3):
            recorder.record(engine.run(refresh=True), engine, wait=WAIT)
    for _ in range(2):
        record(engine)
    assert HealthCheckLog.objects.count() == 6
    assert totals()["healthy_runs"] == 6


def test_upsert_in_batches_of_any_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsert, "BATCH", 3)
    at = float(HOUR.start(time.time()) - HOUR.seconds)
    roll_up([{"mine": counters(at, since=at)}], "default")
    roll_up([{"mine": counters(at + 1_800, since=at, healthy=1_800.0)}], "default")
    assert Rollup.objects.filter(period="minute", healthy__range=(59.9, 60.1)).count() == 30


def kept(seen: KeptRows, status: str, at: float, *, is_first: bool = False) -> bool:
    from datetime import datetime, timezone

    text = datetime.fromtimestamp(at, timezone.utc).isoformat()
    result = {"status": status, "message": "m", "timestamp": text, "duration_ms": 1.0}
    since = text if is_first else "2026-01-01T00:00:00+00:00"
    found = rows.row_of("mine", result, None)
    assert found
    return seen.add(found[0], {**result, "since": since}, None)


def test_log_every_keeps_changes_and_one_row_in_so_many_seconds(settings: Any) -> None:
    at = time.time()
    settings.LIFESIGNS = {"LOG_EVERY": 60}
    seen = KeptRows()
    found = [kept(seen, "error" if number == 7 else "healthy", at + 10 * number) for number in range(20)]
    assert [number for number, is_kept in enumerate(found) if is_kept] == [0, 6, 7, 8, 14]
    settings.LIFESIGNS = {}
    assert all(kept(seen, "healthy", at + 200 + number) for number in range(3))


def test_log_every_counts_each_result_all_the_same(settings: Any) -> None:
    settings.LIFESIGNS = {"LOG_EVERY": 3_600}
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    for _ in range(4):
        record(engine)
    assert HealthCheckLog.objects.count() == 1
    assert totals()["healthy_runs"] == 4
    from django_lifesigns.models import ServiceAvailability

    assert ServiceAvailability.objects.get().total_checks == 4


PROGRAM = """
import json, time
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django_lifesigns.history.rollups import writer
from django_lifesigns.history.rollups.reading import segments, sums
from django_lifesigns.history.write_behind import Recorder
from django_lifesigns.models import Rollup
from django_lifesigns.history.objectives.state import read_states
from django_lifesigns.history.objectives.targets import Target
from lifesigns import Engine
from tests.django.recording import report
from tests.django.test_rollups_allot import counters

call_command("migrate", verbosity=0)
writer.ROLL_SECONDS = writer.RETRY_SECONDS = 0.0
engine = Engine(log=False)
engine.register("mine", lambda: True)
queries = []
mine = Recorder()
for number in range(4):
    mine.add({**report(0, number), "checks": engine.run(refresh=True)["checks"]}, engine, log=True, availability=True)
    mine.rollups.sample(engine)
    with CaptureQueriesContext(connection) as captured:
        mine._write()
    queries.append(len(captured))
    time.sleep(0.1)
    assert not mine.rollups._refused
now = time.time()
writer.prune(now, "default")
windows = {"5m": segments(now - 300, now, now), "30d": segments(now - 30 * 86_400, now, now)}
counted = mine.rollups._samples.all()[-1]["mine"]["healthy"]
found = sums(windows, ["healthy", "healthy_runs"], ["mine"])

# Two hosts, of which the second starts in the middle, is always five seconds later, and fails for a minute.
at = float(int(now) // 86_400 * 86_400 - 2 * 86_400)
for seconds in range(0, 3_601, 60):
    for host, since, later in (("1", 0.0, 0), ("2", 1_800.0, 5)):
        known = max(0.0, seconds - since)
        error = 60.0 * (host == "2" and seconds >= 2_400)
        common = {"since": at + since + later, "healthy": known - error, "error": error, "error_stretches": bool(error)}
        if known or not since:
            sample = {"two": counters(at + seconds + later, host * 16, **common)}
            for _ in range(2):  # a new source is only started by the first
                with transaction.atomic():
                    writer.roll_up([sample], "default")
targets = {"two": Target(99.0, 30), "none": Target(99.0, 30)}
states = {state.check: state.as_dict() for state in read_states(targets, at + 86_400)}
print(json.dumps({"queries": queries, "counted": counted, "found": found, "states": states}))
"""


@pytest.mark.parametrize("zone", ["UTC", None], ids=["with USE_TZ", "without USE_TZ"])
def test_roll_ups_in_each_database(new_database: NewDatabase, tmp_path: Path, zone: str | None) -> None:
    settings: dict[str, Any] = {
        "DATABASES": {"default": new_database()},
        "USE_TZ": zone is not None,
        "TIME_ZONE": zone or "Asia/Kolkata",
    }
    found: Mapping[str, Any] = run_json(tmp_path, settings, PROGRAM)
    assert max(found["queries"]) <= 6
    assert found["counted"] > 0.3  # three pauses
    assert found["found"]["mine"]["30d"]["healthy"] == pytest.approx(found["counted"], abs=0.001)
    assert found["found"]["mine"]["5m"] == found["found"]["mine"]["30d"]
    assert found["found"]["mine"]["5m"]["healthy_runs"] == 4
    two = found["states"]["two"]
    assert two["known_ratio"] == pytest.approx(3_605 / (30 * DAY.seconds), abs=1e-6)
    # A minute of an hour and a half of both: 40 s of the hour that is known.
    assert two["bad_seconds"] == pytest.approx(60 * 3_605 / 5_400, abs=0.1)
    assert sum(day["seconds"] for day in two["lost_on"]) == pytest.approx(two["bad_seconds"], abs=0.1)
    assert found["states"]["none"]["known_ratio"] == 0


HOSTS = """
import random, sys, time
import django
django.setup()
from django.db import OperationalError
from django_lifesigns.history.rollups.writer import roll_up
from django.db import transaction
from tests.django.test_rollups_allot import counters
from tests.services import wait_until

# Four processes: of two hosts, two each, which do not know of each other's turns.
host = int(sys.argv[1]) % 2
at = float(int(time.time()) // 3600 * 3600 - 3600)
for number in range(40):
    sample = {"mine": counters(at + 15 * number, str(host) * 16, since=at, healthy=15.0 * number, healthy_runs=number)}
    for _ in range(50):
        try:
            with transaction.atomic():
                done = roll_up([sample], "default")
        except OperationalError:  # a deadlock, or SQLite's lock: the next turn
            time.sleep(0.01 * random.random())
        else:
            if done:
                break
"""


@pytest.mark.parametrize("new_database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.services
def test_roll_up_by_processes_at_the_same_time_counts_once(new_database: NewDatabase, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DATABASES": {"default": new_database()}}
    migrate = "from django.core.management import call_command; call_command('migrate', verbosity=0); print('{}')"
    run_json(tmp_path, settings, migrate)
    given = environment(tmp_path, settings)
    command = [sys.executable, "-W", "ignore", "-c", HOSTS]
    processes = [subprocess.Popen([*command, str(number)], env=given) for number in range(4)]
    assert [process.wait(50) for process in processes] == [0] * 4
    read = """
import json
from django.db.models import Sum
from django_lifesigns.models import Rollup
days = Rollup.objects.filter(period="day").aggregate(Sum("healthy"), Sum("healthy_runs"))
print(json.dumps(days))
"""
    found = run_json(tmp_path, settings, read)
    assert found == {"healthy__sum": pytest.approx(2 * 585), "healthy_runs__sum": 2 * 39}


def test_check_that_is_renewed_in_the_background_is_known_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All the time since its first run, with real clocks."""
    monkeypatch.setattr(background, "SHORTEST_PAUSE", 0.1)
    engine = Engine(default_ttl=0.5, log=False)
    engine.register("mine", lambda: True)
    engine.start_background()
    recording = BackgroundRecording(engine, 0.5)
    recording.start()

    def known() -> float:
        return totals("total").get("healthy", 0.0)

    wait_until(lambda: known() > 3.0, 60)
    row = Rollup.objects.exclude(source=LIVE).get(period="total")
    since = Rollup.objects.get(source=LIVE).until
    assert row.healthy == pytest.approx(row.until - since, abs=0.005)


def test_seconds_of_a_day_add_up_to_it() -> None:
    """Within 1 s, of a check that is renewed all the time, sampled at odd times in fractions of a second."""
    chance = random.Random(1)
    day = float(DAY.start(time.time()) - 2 * DAY.seconds)
    since = at = day - 1_234.567
    known = dict.fromkeys(("healthy", "degraded", "error"), 0.0)
    waiting: list[Any] = []
    while at < day + 1.1 * DAY.seconds:
        status = chance.choices(list(known), [90, 5, 5])[0]
        length = chance.uniform(10, 130)
        at += length
        known[status] += length
        waiting.append({"mine": counters(at, since=since, **known)})
        # Now and then the database was gone for a while.
        if len(waiting) > chance.choice([0, 1, 100]):
            for _ in range(2):
                with transaction.atomic():
                    roll_up(waiting, "default")
            waiting = []
    row = Rollup.objects.get(period="day", start=int(day))
    assert row.healthy + row.degraded + row.error == pytest.approx(DAY.seconds, abs=1)
    assert row.covered == pytest.approx(DAY.seconds, abs=1)
    hours = Rollup.objects.filter(period="hour", start__gte=day, start__lt=day + DAY.seconds)
    assert [each.covered for each in hours] == pytest.approx([HOUR.seconds] * 24, abs=1)


SHARING = """
import sys, time
import django
django.setup()
from django_lifesigns.history import recorder
from django_lifesigns.history.rollups import writer
from lifesigns import Engine

writer.ROLL_SECONDS, writer.RETRY_SECONDS = 0.2, 0.1
engine = Engine(default_ttl=0.2, log=False, share="host", application="shared", store_path=sys.argv[1])
engine.register("mine", lambda: True, identity="mine")
end = time.monotonic() + float(sys.argv[2])
print("started", flush=True)
while time.monotonic() < end:
    recorder.record(engine.run(), engine, wait=5)
    time.sleep(0.05)
recorder._recorder().rollups.finish()
recorder.flush(10)
print(time.time(), flush=True)
"""


def test_processes_that_share_count_once_whichever_of_them_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file), "OPTIONS": {"timeout": 20}}
    settings: dict[str, Any] = {"DATABASES": {"default": database}}
    migrate = "from django.core.management import call_command; call_command('migrate', verbosity=0); print('{}')"
    run_json(tmp_path, settings, migrate)
    given = environment(tmp_path, settings)
    command = [sys.executable, "-W", "ignore", "-c", SHARING, str(tmp_path / "store")]
    started = time.time()
    with ExitStack() as processes:
        outputs = []
        for seconds in ("60", "60", "8"):
            process = subprocess.Popen([*command, seconds], env=given, stdout=subprocess.PIPE, text=True)
            processes.enter_context(process)
            processes.callback(process.kill)
            assert process.stdout is not None
            outputs.append((process, process.stdout))
        for _, output in outputs:
            assert output.readline() == "started\n"
        for victim, _ in outputs[:2]:
            time.sleep(1.5)
            victim.kill()
            victim.wait()
        ended = float(outputs[2][1].readline())
        outputs[2][0].wait(60)
    with closing(sqlite3.connect(file)) as connected:
        [(healthy, since, until)] = connected.execute(
            "SELECT sum(CASE WHEN period = 'day' THEN healthy END), min(CASE WHEN source = 'live' THEN until END), "
            "max(CASE WHEN period = 'total' THEN until END) FROM lifesigns_rollup"
        ).fetchall()
    assert started < since < until
    assert abs(ended - until) < 2
    assert healthy == pytest.approx(until - since, abs=0.05)


def test_names_of_counters_are_those_of_the_type() -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    engine.run()
    assert set(engine.counters()["mine"]) == set(counters(0.0, str(uuid4())))
