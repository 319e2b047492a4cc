"""How what was counted is spread over minutes, hours and days, against a model that counts each second."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest

from django_lifesigns.history.rollups.allot import Cursor, Increments, Key, Step, allot, spread, totals
from django_lifesigns.history.rollups.figures import COUNTS, COVERED, DURATIONS, SECONDS, sources
from django_lifesigns.history.rollups.maintenance import windows
from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE, TOTAL
from django_lifesigns.history.rollups.reading import cells, segments
from django_lifesigns.history.rollups.samples import Samples

START = 1_800_000_000 // 86_400 * 86_400
DAYS = 86_400


def counters(at: float, epoch: Any = "e", depends_on: Any = (), **values: Any) -> Any:
    """Totals of one check."""
    numbers = dict.fromkeys(("healthy", "degraded", "error", "unknown", "duration_seconds"), 0.0)
    counts = dict.fromkeys((name for name in COUNTS if name not in DURATIONS), 0)
    known = {"epoch": epoch, "since": float(START), "at": at, "depends_on": list(depends_on)}
    known |= dict.fromkeys(("stale_after", "holds_for"), 60.0)
    return {**numbers, **counts, "durations": [0] * len(DURATIONS), **known, **values}


def cursor(until: float = START, **values: float) -> Cursor:
    return Cursor(START, until, values)


def rows(increments: Increments, period: str = "minute", name: str = "a") -> dict[int, dict[str, float]]:
    return {
        key.start - START: {field: value for field, value in row.items() if value and field != COVERED}
        for key, row in increments.rows.items()
        if (key.period, key.check_name) == (period, name)
    }


def test_allot_splits_an_interval_where_minutes_end() -> None:
    found = allot([{"a": counters(START + 90, healthy=60.0, error=30.0, error_runs=3)}], {"e": cursor(START)}, {})
    assert rows(found) == {
        0: {"healthy": 40.0, "error": 20.0, "error_runs": 2},
        60: {"healthy": 20.0, "error": 10.0, "error_runs": 1},
    }
    assert rows(found, "hour") == rows(found, "day") == {0: {"healthy": 60.0, "error": 30.0, "error_runs": 3}}
    assert found.rows[Key("a", TOTAL, START, "e")] == {"healthy": 60.0, "error": 30.0, "error_runs": 3}


def test_allot_leaves_out_what_is_counted_already() -> None:
    samples = [{"a": counters(START + seconds, healthy=float(seconds))} for seconds in (15, 30, 45)]
    whole = allot(samples, {"e": cursor(START)}, {})
    assert rows(whole)[0]["healthy"] == pytest.approx(45)
    for until in (15, 30, 45):
        again = allot(samples, {"e": cursor(START + until, healthy=float(until))}, {})
        assert rows(again).get(0, {}).get("healthy", 0) == pytest.approx(45 - until)
    # A process that sampled a moment before the one that rolled up.
    assert rows(allot(samples, {"e": cursor(START + 45.2, healthy=45.2)}, {})) == {}


def test_allot_leaves_time_that_was_not_counted_unknown() -> None:
    found = allot([{"a": counters(START + 3_600, healthy=60.0)}], {"e": cursor(START)}, {})
    assert sum(row["healthy"] for row in rows(found).values()) == pytest.approx(60)
    assert rows(found, "hour") == {0: {"healthy": pytest.approx(60)}}


def test_allot_clock_put_back_counts_everything_once() -> None:
    sample = {"a": counters(START + 10, healthy=135.0)}
    found = allot([sample], {"e": cursor(START + 120, healthy=120.0)}, {})
    assert sum(row["healthy"] for row in rows(found).values()) == pytest.approx(15)


def test_allot_clock_put_forward_is_unknown_time() -> None:
    found = allot([{"a": counters(START + 60, healthy=15.0)}], {"e": cursor(START)}, {})
    assert rows(found)[0] == {"healthy": 15.0}


def test_allot_blocked_time_is_taken_from_the_error_first() -> None:
    sample = {
        "a": counters(START + 60, error=20.0, healthy=40.0, error_stretches=1),
        "b": counters(START + 60, "f", ("a",), error=20.0, healthy=40.0, error_stretches=1, unhealthy_stretches=1),
        "c": counters(START + 60, "g", ("b",), healthy=50.0),
        "d": counters(START + 60, "h", error=20.0, error_stretches=1),
    }
    found = allot([sample], {epoch: cursor(START) for epoch in "efgh"}, {})
    assert rows(found, name="a")[0] == {"healthy": 40.0, "error": 20.0, "error_stretches": 1}
    assert rows(found, name="b")[0] == {"healthy": 40.0, "blocked": 20.0}
    # Ten seconds of the blocked ones were unknown.
    assert rows(found, name="c")[0] == {"healthy": 40.0, "blocked": 20.0}
    assert rows(found, name="d")[0] == {"error": 20.0, "error_stretches": 1}


def test_allot_error_beyond_the_parents_stays_the_childs() -> None:
    sample = {
        "a": counters(START + 60, error=20.0, healthy=40.0),
        "b": counters(START + 60, "f", ("a",), error=60.0, error_stretches=1),
    }
    found = allot([sample], {epoch: cursor(START) for epoch in "ef"}, {})
    assert rows(found, name="b")[0] == {"error": 40.0, "blocked": 20.0, "error_stretches": 1}


def test_spread_time_in_maintenance_is_that_alone() -> None:
    found = Increments()
    step = Step(START, START + 120, {"error": 120.0, "error_runs": 4, "error_stretches": 1})
    spread(found, "a", step, [(START + 30.0, START + 90.0)], START + 120)
    assert rows(found) == {
        0: {"error": 30.0, "maintenance": 30.0, "error_runs": 2},
        60: {"error": 30.0, "maintenance": 30.0, "error_runs": 2, "error_stretches": 1},
    }
    assert rows(found, "day")[0]["maintenance"] == 60


def test_spread_long_ago_makes_no_rows_that_would_be_removed() -> None:
    found = Increments()
    now = START + 40 * DAYS
    spread(found, "a", Step(START, START + 2 * DAYS, {"healthy": 2.0 * DAYS}), (), now)
    assert rows(found) == rows(found, "hour") == {}
    assert rows(found, "day") == {0: {"healthy": DAYS}, DAYS: {"healthy": DAYS}}


@pytest.mark.parametrize("seed", range(20))
def test_allot_equals_the_model_of_each_second(seed: int) -> None:
    """One source sampled at random times, by processes that roll up at random, some of them twice."""
    chance = random.Random(seed)
    states = ["healthy", "degraded", "error", ""]
    seconds = [state for _ in range(60) for state in [chance.choice(states)] * chance.randint(1, 400)][:10_800]
    totals_at = [Counter[str]()]
    for state in seconds:
        totals_at.append(totals_at[-1] + Counter([state]))
    times = sorted({0, len(seconds), *(chance.randrange(len(seconds)) for _ in range(900))})
    samples = [
        {"a": counters(float(START + at), **{state: float(totals_at[at][state]) for state in states if state})}
        for at in times
    ]
    found, known = Counter[tuple[str, int, str]](), {"e": cursor(START)}
    position = 0
    while position < len(samples):
        step = chance.randint(1, 30)
        batch = samples[max(0, position - 3) : position + step]
        increments = allot(batch, known, {})
        for key, row in increments.rows.items():
            for field, value in row.items():
                found[key.period, key.start, field] += value  # type: ignore[assignment]
        known["e"] = Cursor(START, batch[-1]["a"]["at"], totals(batch[-1]["a"]))
        position += step
    for key, row in increments.rows.items():
        if key.period != TOTAL:
            assert row[COVERED] == pytest.approx(sum(row.get(name, 0) for name in SECONDS)), key
    for period, tolerance in ((DAY, 1e-6), (HOUR, 60), (MINUTE, 60)):
        for start in range(START, START + len(seconds), period.seconds):
            part = Counter(seconds[start - START : start - START + period.seconds])
            for state in states[:3]:
                assert found[period.name, start, state] == pytest.approx(part[state], abs=tolerance), (period, start)


@pytest.mark.parametrize(
    ("figures", "length", "expected"),
    [
        ({"healthy": 3_600.0, "covered": 3_600.0}, 30 * DAYS, 1),
        ({"healthy": 7_000.0, "error": 200.0, "covered": 3_600.0}, 30 * DAYS, 2),
        ({"healthy": 100.0, "maintenance": 50.0, "blocked": 50.0, "covered": 100.0}, 200, 2),
        # Rounding, and nothing at all.
        ({"healthy": 60.0, "covered": 60.000001}, 60, 1),
        ({}, 60, 1),
        ({}, 0, 1),
    ],
)
def test_sources_are_those_that_counted_at_a_time(figures: dict[str, float], length: float, expected: float) -> None:
    assert sources({**dict.fromkeys(SECONDS, 0.0), **figures}, length) == pytest.approx(expected)


def test_samples_that_wait_become_coarser_and_keep_their_ends() -> None:
    samples = Samples()
    for number in range(5_000):
        samples.add({"a": counters(START + 15.0 * number), "b": counters(START + 15.0 * number)})
    kept = [sample["a"]["at"] for sample in samples.all()]
    assert 500 <= len(kept) <= 1_000
    assert (kept[0], kept[-1], kept) == (START, START + 15.0 * 4_999, sorted(kept))


def test_samples_too_close_replace_each_other() -> None:
    samples = Samples()
    for seconds in (0, 4, 8, 12, 16, 20):
        samples.add({"a": counters(START + float(seconds))})
    assert [sample["a"]["at"] - START for sample in samples.all()] == [0, 8, 16, 20]
    samples.drop(samples.all()[:-1])
    assert [sample["a"]["at"] - START for sample in samples.all()] == [20]


@pytest.mark.parametrize("seed", range(200))
def test_segments_are_the_time_without_gaps_and_overlaps(seed: int) -> None:
    chance = random.Random(seed)
    now = START + chance.randrange(DAYS) + chance.random()
    since = now - chance.choice([200, 3_000, 20_000, DAYS, 3 * DAYS, 30 * DAYS, 34.9 * DAYS, 80 * DAYS])
    until = chance.choice([now, since + (now - since) * chance.random()])
    lengths = {"minute": 60, "hour": 3_600, "day": DAYS}
    kept = {period.name: period.kept_since(now) for period in (MINUTE, HOUR, DAY)}
    parts = sorted(segments(since, until, now), key=lambda part: part[1])
    assert parts[0][1] <= since
    for (period, start, end), following in zip(parts, [*parts[1:], None], strict=True):
        assert start % lengths[period] == 0
        assert start >= kept[period]
        if following:
            assert end == following[1]
        else:
            assert end is None if until == now else (end or 0) >= until - 1
    assert len([part for part in parts if part[0] == "minute"]) <= 2


@pytest.mark.parametrize("seed", range(50))
def test_cells_are_the_rows_of_each_window_once(seed: int) -> None:
    chance = random.Random(seed)
    now = START + chance.randrange(DAYS) + chance.random()
    lengths = [300, 1_800, 3_600, 21_600, DAYS, 3 * DAYS, 30 * DAYS, 90 * DAYS]
    windows = [segments(now - length, now, now) for length in chance.sample(lengths, chance.randint(1, 5))]
    windows.append(segments(now - 5 * DAYS, now - chance.randrange(4 * DAYS), now))
    parts = cells(windows)
    for (period, start, end), _ in parts:
        others = [own for own, _ in parts if own[0] == period and own != (period, start, end)]
        assert all(first >= (end or now + DAYS) or (to or now + DAYS) <= start for _, first, to in others)
    for number, window in enumerate(windows):
        own = {segment for segment, inside in parts if number in inside}
        for period in ("minute", "hour", "day"):
            rows = {"minute": 60, "hour": 3_600, "day": DAYS}[period]
            for at in range(int(now - 91 * DAYS) // DAYS * DAYS, int(now), rows if period != "minute" else 420):
                wanted = any(one == period and first <= at < (to or now) for one, first, to in window)
                assert sum(one == period and first <= at < (to or now) for one, first, to in own) == wanted


AT = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc).timestamp()  # a Sunday


def test_maintenance_windows_of_a_check_are_merged(settings: Any) -> None:
    settings.LIFESIGNS = {
        "ALERTS": {
            "MAINTENANCE": [
                {"cron": "0 3 * * SUN", "minutes": 60},
                {"start": "2026-11-29T03:30Z", "end": "2026-11-29T05:00+00:00", "checks": ["data*"]},
                {"start": "2027-01-01T00:00Z", "end": "2027-01-02T00:00Z"},
                {"cron": "nonsense", "minutes": 60},
                {"start": "2026-11-29T03:30Z"},
                "nonsense",
            ]
        }
    }
    expected = {"database": [(AT, AT + 7_200)], "cache": [(AT, AT + 3_600)]}
    assert windows(["database", "cache"], AT - 60, AT + DAYS) == expected
    # One that has started before.
    assert windows(["cache"], AT + 1_800, AT + 1_900) == {"cache": [(AT, AT + 3_600)]}


@pytest.mark.parametrize("alerts", [None, [], {"MAINTENANCE": None}, {"MAINTENANCE": 5}])
def test_maintenance_wrong_settings_are_none(settings: Any, alerts: Any) -> None:
    settings.LIFESIGNS = {"ALERTS": alerts}
    assert windows(["a"], AT, AT + 60) == {"a": []}
