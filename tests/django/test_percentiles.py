"""Percentiles of durations: one method for reports and `/health/detailed/`, compared with the nearest rank."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from io import StringIO

import pytest
from django.core.management import call_command

from django_lifesigns.history import recent
from django_lifesigns.history.reports.durations import RESOLUTION, SHORTEST_MS, Durations
from django_lifesigns.models import HealthCheckLog

PERCENTS = (0.1, 1, 25, 50, 90, 95, 99, 99.9, 100)
DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda source: source.uniform(0.1, 100),
    "lognormal": lambda source: source.lognormvariate(1, 2),
    "a long tail": lambda source: 5000.0 if source.random() < 0.06 else source.uniform(1, 2),
    "two modes": lambda source: source.choice([source.gauss(10, 0.1), source.gauss(1000, 10)]),
    "whole numbers": lambda source: float(source.randint(1, 20)),
    "all the same": lambda source: 7.25,
}


def nearest_rank(values: list[float], percent: float) -> float:
    """Return the least value that so many percent of them do not exceed."""
    rank = math.ceil(Fraction(str(percent)) * len(values) / 100)
    return sorted(values)[max(1, rank) - 1]


def durations(values: list[float]) -> Durations:
    """Return them as a database gives them: grouped, in parts."""
    found = Durations()
    for start in range(0, len(values), 50):
        part: dict[int, list[float]] = {}
        for value in values[start : start + 50]:
            part.setdefault(math.floor(math.log(max(value, SHORTEST_MS)) * RESOLUTION), []).append(value)
        for bucket, group in part.items():
            found.add(bucket, len(group), min(group), max(group))
    return found


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("seed", range(20))
def test_percentile__close_to_the_nearest_rank(distribution: str, seed: int) -> None:
    source = random.Random(seed)
    values = [DISTRIBUTIONS[distribution](source) for _ in range(source.randint(1, 1000))]
    found = durations(values)
    off = math.exp(1 / RESOLUTION) * (1 + 1e-9)
    for percent in PERCENTS:
        exact, estimate = nearest_rank(values, percent), found.percentile(percent)
        assert estimate is not None
        assert exact / off <= estimate <= exact * off, (percent, exact, estimate)
        if distribution == "all the same":
            assert estimate == exact
    assert found.percentile(100) == found.longest == max(values)


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 100, 1000])
def test_percentile__exact_for_values_far_apart(count: int) -> None:
    values = [1.06**number for number in range(count)]
    for percent in PERCENTS:
        assert durations(values).percentile(percent) == nearest_rank(values, percent)


def test_percentile__of_nothing_and_of_no_time() -> None:
    assert durations([]).percentile(50) is None
    assert durations([]).longest == 0
    assert durations([0.0] * 3).percentile(95) == 0


@pytest.mark.django_db
def test_report_and_detailed__the_same_percentiles() -> None:
    source = random.Random(1)
    at = datetime.now(timezone.utc) - timedelta(hours=2)
    at = at.replace(minute=30, second=0, microsecond=0)
    values = [source.lognormvariate(1, 1) for _ in range(500)]
    HealthCheckLog.objects.bulk_create(
        HealthCheckLog(check_name="a", status="healthy", message="m", checked_at=at, duration_ms=value)
        for value in values
    )
    out = StringIO()
    call_command("generate_health_report", "--format", "json", stdout=out)
    [check] = json.loads(out.getvalue())["checks"]
    [hour] = recent.hours()["a"]
    for key, percent in (("median_ms", 50), ("p95_ms", 95)):
        assert check[key] == pytest.approx(hour[key], abs=0.01)
        assert check[key] == pytest.approx(nearest_rank(values, percent), rel=0.052)
