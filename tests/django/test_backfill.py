"""`health_rollup --backfill`: results that were recorded before roll-ups were kept, against a model of each second."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta, timezone
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from django_lifesigns.history.rollups import backfill as module
from django_lifesigns.history.rollups.backfill import backfill
from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE, TOTAL
from django_lifesigns.history.rollups.writer import LIVE
from django_lifesigns.models import HealthCheckLog, Rollup

pytestmark = pytest.mark.django_db

HOLD = 60.0
NOW = float(HOUR.start(datetime.now(timezone.utc).timestamp()) + 1_234)
FIELDS = ("healthy", "degraded", "error", "maintenance")
COUNTS = ("healthy_runs", "degraded_runs", "error_runs", "error_stretches", "unhealthy_stretches", "duration_6")


def add(results: list[tuple[float, str]], check: str = "mine", duration_ms: float = 80.0) -> None:
    HealthCheckLog.objects.bulk_create(
        HealthCheckLog(
            check_name=check,
            status=status,
            message="m",
            duration_ms=duration_ms,
            checked_at=datetime.fromtimestamp(at, timezone.utc),
        )
        for at, status in results
    )


def rows(period: str) -> dict[int, dict[str, float]]:
    found = Rollup.objects.filter(period=period).order_by("start")
    return {
        row.start: {name: value for name in (*FIELDS, *COUNTS) if (value := round(getattr(row, name), 3))}
        for row in found
    }


def random_results(seed: int, since: float) -> list[tuple[float, str]]:
    chance = random.Random(seed)
    found, at = [], since
    while at < NOW:
        at += chance.choice([5, 15, 30, 30, 30, 60, 200, 4_000])
        found += [(at, chance.choice(["healthy", "healthy", "degraded", "error"]))] * chance.choice([1, 1, 1, 2])
    return [result for result in found if result[0] < NOW]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chunk", [7, 20_000])
def test_backfill_equals_the_model_of_each_second(seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    results = random_results(seed, NOW - 20_000)
    add(results)
    assert backfill("mine", HOLD, NOW) == len(results)
    expected = Counter[tuple[str, int, str]]()
    for (at, status), following in zip(results, [*(at for at, _ in results[1:]), NOW], strict=True):
        for second in range(int(at), int(min(following, at + HOLD, NOW))):
            for period in (MINUTE, HOUR, DAY):
                expected[period.name, period.start(second), status] += 1
        for period in (MINUTE, HOUR, DAY):
            expected[period.name, period.start(at), f"{status}_runs"] += 1
            expected[period.name, period.start(at), "duration_6"] += 1
    for name_of_period in ("minute", "hour", "day"):
        found = {
            (name_of_period, start, name): value
            for start, row in rows(name_of_period).items()
            for name, value in row.items()
            if "stretches" not in name
        }
        assert found == pytest.approx({key: value for key, value in expected.items() if key[0] == name_of_period})


def test_backfill_again_adds_nothing_and_later_results_once() -> None:
    add([(NOW - 600 + 30 * number, "healthy") for number in range(10)])
    assert backfill("mine", HOLD, NOW - 400) == 7
    before = rows("day")
    assert backfill("mine", HOLD, NOW - 400) == 0
    assert rows("day") == before
    assert backfill("mine", HOLD, NOW) == 3
    assert backfill("mine", HOLD, NOW + 500) == 0
    [day] = rows("day").values()
    assert day == {"healthy": 330.0, "healthy_runs": 10, "duration_6": 10}


def test_backfill_that_is_stopped_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)
    results = random_results(5, NOW - 9_000)
    add(results)

    class Stopped(Exception):
        pass

    def stop(_rows: int) -> None:
        raise Stopped

    while True:
        try:
            backfill("mine", HOLD, NOW, stop)
        except Stopped:
            reached = Rollup.objects.get(source="log").until
            if reached >= results[-1][0]:
                break
    in_parts = rows("hour")
    Rollup.objects.all().delete()
    backfill("mine", HOLD, NOW)
    assert rows("hour") == in_parts


def test_backfill_ends_where_the_counters_start() -> None:
    live = NOW - 300
    add([(NOW - 600 + 30 * number, "healthy") for number in range(20)])
    Rollup.objects.create(check_name="mine", period=TOTAL, start=0, source=LIVE, until=live)
    for _ in range(2):
        backfill("mine", HOLD, NOW)
    [day] = rows("day").values()
    assert day == {"healthy": 300.0, "healthy_runs": 10, "duration_6": 10}


def test_backfill_without_results_from_before_the_counters_adds_nothing() -> None:
    add([(NOW - 60, "healthy")])
    Rollup.objects.create(check_name="mine", period=TOTAL, start=0, source=LIVE, until=NOW - 300)
    for _ in range(2):
        assert backfill("mine", HOLD, NOW) == 0
    assert rows("day") == {}


def test_backfill_counts_stretches_and_makes_no_rows_that_would_be_removed() -> None:
    long_ago = DAY.start(NOW) - 100 * DAY.seconds + 5_000.0
    statuses = ["healthy", "error", "error", "degraded", "error", "healthy", "error"]
    add([(long_ago + 30 * number, status) for number, status in enumerate(statuses)])
    backfill("mine", HOLD, NOW)
    assert rows("minute") == rows("hour") == {}
    [day] = rows("day").values()
    assert (day["error_stretches"], day["unhealthy_stretches"]) == (3, 2)
    assert (day["healthy"], day["degraded"], day["error"]) == (60, 30, 150)


def test_backfill_in_maintenance_counts_neither_for_nor_against(settings: Any) -> None:
    start = datetime.fromtimestamp(NOW - 600, timezone.utc)
    window = {"start": start.isoformat(), "end": (start + timedelta(seconds=120)).isoformat()}
    settings.LIFESIGNS = {"ALERTS": {"MAINTENANCE": [window]}}
    add([(NOW - 660 + 30 * number, "error") for number in range(6)])
    backfill("mine", HOLD, NOW)
    [day] = rows("day").values()
    assert day == {
        "error": 90.0,
        "maintenance": 120.0,
        "error_runs": 6,
        "error_stretches": 1,
        "unhealthy_stretches": 1,
        "duration_6": 6,
    }


def test_backfill_ignores_rows_that_no_run_can_have_written() -> None:
    add([(NOW - 500, "healthy"), (NOW - 490, "nonsense"), (NOW - 470, "healthy")])
    add([(NOW - 440, "healthy")], duration_ms=float("inf"))
    assert backfill("mine", HOLD, NOW) == 3
    [day] = rows("day").values()
    assert (day["healthy"], day["healthy_runs"], day["duration_6"]) == (120, 3, 2)


def test_command_rolls_up_each_check(settings: Any) -> None:
    settings.LIFESIGNS = {"MAX_STALE": 120}
    for check in ("a", "b"):
        add([(NOW - 5_000 + 600 * number, "healthy") for number in range(3)], check)

    def run() -> str:
        out = StringIO()
        call_command("health_rollup", "--backfill", stdout=out)
        return out.getvalue()

    assert (run(), run()) == ("6 results rolled up\n", "0 results rolled up\n")
    # Of one day or two: midnight may be between them.
    days = Rollup.objects.filter(period="day").values_list("check_name").order_by("check_name")
    assert list(days.annotate(Sum("healthy"))) == [("a", 360.0), ("b", 360.0)]
    with pytest.raises(CommandError, match="--backfill") as caught:
        call_command("health_rollup")
    assert caught.value.returncode == 2
