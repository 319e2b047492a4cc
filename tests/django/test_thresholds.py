"""Thresholds saved in the admin govern the checks, without a restart, and cost the request path nothing."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from django_lifesigns.models import AlertThreshold
from django_lifesigns.runtime import guard, thresholds
from django_lifesigns.runtime.engine import on_request
from django_lifesigns.runtime.saved_thresholds import is_missing, validated
from django_lifesigns.runtime.thresholds import AT_LATEST_SECONDS, EVERY_SECONDS, LOOK_SECONDS, ThresholdSync, judged
from lifesigns import Engine
from lifesigns.specs import Disk, Thresholds
from tests.django.projects import run_json
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NEVER = Thresholds(degraded_above=100, error_above=100)


def save(metric: str, **levels: float) -> None:
    for level, value in levels.items():
        AlertThreshold.objects.update_or_create(
            metric_type=metric, alert_level=level, defaults={"threshold_value": value, "enabled": True}
        )


@pytest.fixture(autouse=True)
def quick(as_in_a_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "EVERY_SECONDS", 0.2)
    monkeypatch.setattr(thresholds, "LOOK_SECONDS", 0.05)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What each reading of the table found, from now on."""
    found: list[dict[str, object]] = []
    read = thresholds._read

    def counted() -> dict[str, object]:
        found.append(read())
        return found[-1]

    monkeypatch.setattr(thresholds, "_read", counted)
    return found


def read_again(following: ThresholdSync, reads: list[dict[str, object]]) -> None:
    """Wait until the table is read three times more, as callers do that request a check again and again."""
    enough = len(reads) + 3

    def is_so() -> bool:
        following.sync(1)
        return len(reads) >= enough

    wait_until(is_so)


def follower(**checks: Any) -> tuple[Engine, ThresholdSync]:
    engine = Engine()
    for name, check in checks.items():
        engine.register(name, check, ttl=60)
    return engine, ThresholdSync(engine, checks, {name: name for name in checks})


def governed(engine: Engine, following: ThresholdSync, name: str, status: str) -> None:
    """Wait until the check has this status, as callers do that request it again and again."""

    def is_so() -> bool:
        following.sync(0)
        return engine.check(name)["status"] == status

    wait_until(is_so, 60, f"{name} is not {status}")


def test_promise__within_thirty_seconds() -> None:
    """A caller that requests again and again gets them by the former bound, one that requests once by the latter."""
    assert EVERY_SECONDS + LOOK_SECONDS < AT_LATEST_SECONDS < 30


def test_saved__governs_and_lets_go() -> None:
    engine, following = follower(disk_space=Disk(paths=["/"], thresholds=NEVER))
    governed(engine, following, "disk_space", "healthy")
    save("disk_usage", warning=0)
    governed(engine, following, "disk_space", "degraded")
    save("disk_usage", warning=0, critical=0)
    governed(engine, following, "disk_space", "error")
    AlertThreshold.objects.filter(alert_level="critical").update(enabled=False)
    governed(engine, following, "disk_space", "degraded")
    AlertThreshold.objects.all().delete()
    governed(engine, following, "disk_space", "healthy")


def test_first__is_waited_for() -> None:
    save("disk_usage", warning=0, critical=100)
    engine, following = follower(disk_space=Disk(paths=["/"], thresholds=NEVER))
    following.sync(10)
    assert engine.check("disk_space")["status"] == "degraded"


@pytest.mark.parametrize(
    ("levels", "base", "expected"),
    [
        ({}, None, (80, 90)),
        ({}, (70, 75), (70, 75)),
        ({"warning": 50}, None, (50, 90)),
        ({"critical": 95}, None, (80, 95)),
        ({"warning": 50, "critical": 60}, (70, 75), (50, 60)),
        ({"warning": 95}, None, (95, 95)),
        ({"critical": 60}, (70, 75), (60, 60)),
        ({"warning": 0, "critical": 0}, None, (0, 0)),
        ({"warning": 90, "critical": 10}, None, (90, 90)),
    ],
)
def test_judged__levels_before_settings_before_defaults(levels: Any, base: Any, expected: tuple[float, float]) -> None:
    own = None if base is None else Thresholds(degraded_above=base[0], error_above=base[1])
    found = judged("disk_usage", levels, own)
    assert (found.degraded_above, found.error_above) == expected


@pytest.mark.parametrize(
    ("metric", "check"),
    [("disk_usage", "disk_space"), ("memory_usage", "memory_usage"), ("queue_depth", "pending_tasks")],
)
def test_saved__by_metric_in_a_project(settings: Any, metric: str, check: str) -> None:
    sql = "SELECT 'mail', 7, CURRENT_TIMESTAMP"
    queue = {"tables": ["django_session"], "pending_sql": sql + " FROM (SELECT 1 AS django_session)"}
    settings.LIFESIGNS = {
        "TASK_QUEUE": queue,
        "CHECKS": {check: {"thresholds": {"degraded_above": 1000, "error_above": 1000}}},
    }
    assert on_request().engine.check(check)["status"] == "healthy"
    save(metric, warning=0, critical=100)
    wait_until(
        lambda: on_request().engine.check(check)["status"] == "degraded", 10, f"{metric} does not govern {check}"
    )


def test_saved__governs_a_renamed_check(settings: Any) -> None:
    settings.LIFESIGNS = {
        "CHECKS": {"disk_space": {"name": "disks", "thresholds": {"degraded_above": 100, "error_above": 100}}}
    }
    assert on_request().engine.check("disks")["status"] == "healthy"
    save("disk_usage", warning=0)
    wait_until(lambda: on_request().engine.check("disks")["status"] == "degraded", 10, "not governed")


def test_saved__response_time_degrades_any_check() -> None:
    engine, following = follower(slow=lambda: time.sleep(0.05))
    save("response_time", warning=20)
    following.sync(10)
    engine.check("slow")  # the first run of a process is exempt
    result = engine.check("slow", refresh=True)
    assert (result["status"], "more than 20 ms" in result["message"]) == ("degraded", True)


def test_default__response_time_of_a_second(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"slow": lambda: time.sleep(1.05)}}
    engine = on_request().engine
    assert engine.check("slow")["status"] == "healthy"
    assert "more than 1000 ms" in engine.check("slow", refresh=True)["message"]


def test_saved__error_rate() -> None:
    answers = iter([False] * 3 + [True] * 97)
    engine, following = follower(flaky=lambda: next(answers))
    save("error_rate", warning=10)
    following.sync(10)
    statuses = [engine.check("flaky", refresh=True)["status"] for _ in range(25)]
    assert statuses[19] == "degraded"


def test_follow__queries_no_database_for_its_caller(django_assert_num_queries: Any) -> None:
    _, following = follower()
    with django_assert_num_queries(0):
        for _ in range(100):
            following.sync(1)


def test_follow__reads_no_more_often_than_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "EVERY_SECONDS", 10)
    reads: list[float] = []
    monkeypatch.setattr(thresholds, "_read", lambda: reads.append(time.monotonic()))
    _, following = follower()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        following.sync(1)
        time.sleep(0.01)
    assert len(reads) == 1


def test_follow__by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only native probes are requested nothing calls `sync`."""
    monkeypatch.setattr(thresholds, "FOLLOW_SECONDS", 0.2)
    engine, following = follower(disk_space=Disk(paths=["/"], thresholds=NEVER))
    following.sync_in_background()
    assert engine.check("disk_space")["status"] == "healthy"
    save("disk_usage", warning=0)
    wait_until(lambda: engine.check("disk_space")["status"] == "degraded", 10, "not governed")


def test_follow__a_database_that_hangs_delays_no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(thresholds, "_read", lambda: hanging.wait(20))
    engine, following = follower(disk_space=Disk(paths=["/"], thresholds=NEVER))
    began = time.monotonic()
    following.sync(0.2)
    assert 0.1 < time.monotonic() - began < 10
    assert engine.check("disk_space")["status"] == "healthy"
    hanging.set()


def test_failure__the_present_ones_stay(caplog: pytest.LogCaptureFixture) -> None:
    save("disk_usage", warning=0)
    engine, following = follower(disk_space=Disk(paths=["/"], thresholds=NEVER))
    governed(engine, following, "disk_space", "degraded")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_alert_threshold RENAME TO elsewhere")
    try:

        def warned() -> bool:
            following.sync(0)
            return (
                "thresholds: cannot be read (OperationalError; run migrate?); keeping the current thresholds"
                in caplog.messages
            )

        wait_until(warned)
        time.sleep(0.5)
        following.sync(1)
        assert engine.check("disk_space", refresh=True)["status"] == "degraded"
        assert len([message for message in caplog.messages if "cannot be read" in message]) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO core_alert_threshold")
    save("disk_usage", warning=100, critical=100)
    governed(engine, following, "disk_space", "healthy")


def test_failure__of_an_outage_does_not_suggest_migrate(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(thresholds, "read_saved", refuse)
    monkeypatch.setattr(thresholds, "is_missing", refuse)
    follower()[1].sync(10)
    assert caplog.messages == ["thresholds: cannot be read (OperationalError); keeping the current thresholds"]
    # The table is there, whatever the error was.
    monkeypatch.setattr(thresholds, "is_missing", is_missing)
    caplog.clear()
    follower()[1].sync(10)
    assert caplog.messages == ["thresholds: cannot be read (OperationalError); keeping the current thresholds"]


def test_migrate__is_noticed_within_seconds(tmp_path: Path) -> None:
    """In a process that runs already, with the times as they are."""
    program = """
import json, time
from django.core.management import call_command
from django_lifesigns.models import AlertThreshold
from django_lifesigns.runtime.engine import on_request
def governed():
    return on_request().engine.check("disk_space")["status"] == "degraded"
on_request(5)
call_command("migrate", "lifesigns", verbosity=0)
AlertThreshold.objects.create(metric_type="disk_usage", alert_level="warning", threshold_value=0)
AlertThreshold.objects.create(metric_type="disk_usage", alert_level="critical", threshold_value=100)
start = time.monotonic()
while not governed() and time.monotonic() < start + 30:
    time.sleep(0.02)
print(json.dumps(time.monotonic() - start))
"""
    settings = {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db")}}}
    assert run_json(tmp_path, settings, program) < thresholds.MISSING_SECONDS + 4


@pytest.mark.parametrize("waits", [True, False])
def test_migrate__is_noticed_by_new_processes_at_once(
    waits: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process has found before `migrate` is shared, and still recent."""
    scope = {"share": "host", "application": "migrated", "store_path": str(tmp_path / "store")}
    found: dict[str, object] = {"status": "degraded", "details": {"missing": "ProgrammingError"}}
    monkeypatch.setattr(thresholds, "EVERY_SECONDS", 60)
    monkeypatch.setattr(thresholds, "_read", lambda: dict(found))
    ThresholdSync(Engine(), {}, {}, **scope).sync(10)
    assert len(caplog.messages) == 1
    caplog.clear()
    found.update(status="healthy", details={"saved": {}, "wrong": ()})
    newer = ThresholdSync(Engine(), {}, {}, **scope)
    newer.sync(10 if waits else 0)
    asyncio.run(newer.asettle(10))
    assert caplog.messages == []


WRONG = [
    (("", "warning", 1.0), "there is no such metric"),
    (("disk", "warning", 1.0), "there is no such metric"),
    ((None, "warning", 1.0), "there is no such metric"),
    ((b"disk_usage", "warning", 1.0), "there is no such metric"),
    (("a\nb" * 50, "warning", 1.0), "there is no such metric"),
    (("disk_usage", "severe", 1.0), "there is no such level"),
    (("disk_usage", "warning", None), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", "eighty"), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", b"80"), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", True), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", math.nan), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", math.inf), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", -math.inf), "it is not a number from 0 to 100"),
    (("disk_usage", "warning", -1.0), "it is not a number from 0 to 100"),
    (("memory_usage", "critical", 101.0), "it is not a number from 0 to 100"),
    (("error_rate", "warning", 200), "it is not a number from 0 to 100"),
    (("queue_depth", "warning", -1), "it is not a number from 0"),
    (("response_time", "warning", 0), "it is not a number of milliseconds above 0 and below 86,400,000, a day"),
]


@pytest.mark.parametrize(("row", "problem"), WRONG)
def test_validated_wrong_row_is_named_and_the_others_govern(row: tuple[object, object, object], problem: str) -> None:
    others: list[tuple[object, object, object]] = [("cpu_load", "warning", 0.5), ("queue_depth", "critical", 7)]
    saved, wrong = validated([row, *others])
    assert saved == {"cpu_load": {"warning": 0.5}, "queue_depth": {"critical": 7.0}}
    assert len(wrong) == 1
    assert wrong[0].endswith(f" is ignored: {problem}")
    assert "\n" not in wrong[0]
    assert len(wrong[0]) < 200


def test_validated_warning_above_critical_is_ignored() -> None:
    saved, wrong = validated([("disk_usage", "warning", 90.0), ("disk_usage", "critical", 85)])
    assert saved == {"disk_usage": {"critical": 85.0}}
    assert wrong == ["the saved disk_usage warning is ignored: it is above the critical one, 85"]
    assert validated([("disk_usage", "warning", 85.0), ("disk_usage", "critical", 85)])[1] == []


def test_wrong_rows_are_logged_once_and_the_others_govern(
    caplog: pytest.LogCaptureFixture, reads: list[dict[str, object]]
) -> None:
    save("memory_usage", warning=0, critical=100)
    wrong = {"disk_usage": "'much'", "cpu_load": "9e999", "response_time": "9e999", "error_rate": "-1", "x": "1"}
    columns = "metric_type, alert_level, threshold_value, enabled, description, created_at, updated_at"
    with connection.cursor() as cursor:
        for metric, value in wrong.items():
            values = f"'{metric}', 'warning', {value}, 1, '', '2026-01-01', '2026-01-01'"
            cursor.execute(f"INSERT INTO core_alert_threshold ({columns}) VALUES ({values})")
    engine, following = follower(
        disk_space=Disk(paths=["/"], thresholds=NEVER), memory_usage={"kind": "memory"}, cpu_load=lambda: True
    )

    read_again(following, reads)
    assert engine.check("disk_space")["status"] == "healthy"
    assert len([message for message in caplog.messages if "is ignored" in message]) == 5
    assert "thresholds: the saved x warning is ignored: there is no such metric" in caplog.messages
    assert "reading the saved thresholds failed" not in caplog.text


def test_failure_while_they_are_applied_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, reads: list[dict[str, object]]
) -> None:
    monkeypatch.setattr(guard, "RAISES", False)
    engine, following = follower()
    monkeypatch.setattr(engine, "limit", lambda **_: 1 / 0)
    save("response_time", warning=5)
    read_again(following, reads)
    line = "health checks: reading the saved thresholds failed (ZeroDivisionError); the application runs without it"
    assert [message for message in caplog.messages if "reading the saved" in message] == [line]


def test_processes__each_is_governed(tmp_path: Path) -> None:
    """Two processes of a project: what one saves, the other goes by."""
    program = """
import json, os, time
from django.core.management import call_command
from django_lifesigns.runtime import guard, thresholds
from django_lifesigns.runtime.engine import on_request
from django_lifesigns.runtime.saved_thresholds import validated
from django_lifesigns.models import AlertThreshold
thresholds.EVERY_SECONDS, thresholds.LOOK_SECONDS = 0.2, 0.05
call_command("migrate", "lifesigns", verbosity=0)
on_request(5).engine.run(["disk_space"])
ready, go = os.pipe()
child = os.fork()
if child == 0:
    os.write(go, b"x")
    end = time.monotonic() + 20
    while time.monotonic() < end and on_request().engine.check("disk_space")["status"] != "degraded":
        time.sleep(0.02)
    os._exit(0 if time.monotonic() < end else 1)
os.read(ready, 1)
AlertThreshold.objects.create(metric_type="disk_usage", alert_level="warning", threshold_value=0)
AlertThreshold.objects.create(metric_type="disk_usage", alert_level="critical", threshold_value=100)
_, status = os.waitpid(child, 0)
print(json.dumps(os.waitstatus_to_exitcode(status)))
"""
    settings = {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db")}}}
    assert run_json(tmp_path, settings, program) == 0
