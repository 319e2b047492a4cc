"""The benchmark of production's cadence runs, for seconds that say nothing, and reads figures rightly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benches.cadence.measure import Size, Taken, measure
from benches.cadence.meter import Reading
from benches.cadence.numbers import numbers
from benches.cadence.paused import Paused
from benches.cadence.pods import BARE, OURS, PLANS
from benches.cadence.report import taken_per_hour
from tests.django.projects import ROOT


@pytest.mark.services
def test_pods__are_probed_and_measured() -> None:
    taken = measure((OURS, BARE), Size(pause=0, turns=1, seconds=15, traced=1))
    assert list(taken) == [OURS.key, BARE.key]
    for pod in taken.values():
        assert pod.failures == 0
        assert sum(pod.calls.values()) > 0
        assert len(pod.memory) == 2
        assert pod.hours[0].cpu > 0
    assert taken[OURS.key].hours[0].statements > taken[BARE.key].hours[0].statements
    assert taken_per_hour(taken).count("\n") == 3


def reading(cpu: float) -> Reading:
    return Reading(cpu=cpu, servers=1, statements=10 * cpu, commands=1, requests=1, sessions=1, redis_connections=1)


def test_numbers__are_ratios_of_medians_and_without_the_pulse() -> None:
    taken = {plan.key: Taken(hours=[reading(plan.workers)] * 2, memory=[1]) for plan in PLANS}
    taken["idle"].calls = {"lifesigns-monit": 4.0, "lifesigns": 3.0, "lifesigns-probe": 1.0}
    found = {number.key: number for number in numbers(taken, Paused([0.004, 0.006], 130, 39, 100))}
    assert found["cadence_8_over_2"].value == 4
    assert found["cadence_queries_8_over_1"].value == 8
    assert found["cadence_over_peer"].value == 1
    assert found["idle_calls"].value == 4
    assert found["paused_cpu"].value == pytest.approx(5)
    assert [found[key].kept for key in ("paused_calls", "store_calls", "idle_calls")] == [False, True, True]


@pytest.mark.services
def test_scale__short() -> None:
    command = [sys.executable, "-m", "benches.scale", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "| 50 |" in done.stdout
