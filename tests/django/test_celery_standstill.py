"""Since when tasks have been waiting for a worker of Celery in which nothing starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from django_lifesigns.checks import celery_standstill
from django_lifesigns.checks.celery_standstill import _waiting_for, standing_still

LIMIT = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both clocks, which `seconds` moves on."""
    clock = SimpleNamespace(seconds=0.0)
    both = SimpleNamespace(monotonic=lambda: clock.seconds, time=lambda: 1e9 + clock.seconds)
    monkeypatch.setattr(celery_standstill, "time", both)
    monkeypatch.setattr(celery_standstill, "_waiting", {})
    return clock


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ({"w": True}, ["w"]),
        ({"w": None}, ["w"]),  # it did not answer this once
        ({"w": False}, []),
        ({}, []),
    ],
)
def test_waiting__all_the_time(clock: Any, between: dict[str, bool | None], expected: list[str]) -> None:
    for seconds in range(0, 3600, 120):
        clock.seconds = float(seconds)
        waiting = between if seconds == 1200 else {"w": True}
        assert _waiting_for(LIMIT, {"w": 1.0}, waiting, ["w"]) == []
    clock.seconds = LIMIT
    assert _waiting_for(LIMIT, {"w": 1.0}, {"w": True}, ["w"]) == expected


def test_waiting__starts_anew_where_a_task_has_started(clock: Any) -> None:
    assert _waiting_for(LIMIT, {"w": 1.0}, {"w": True}, ["w"]) == []
    clock.seconds = 299.0
    assert _waiting_for(299, {"w": 1.0}, {"w": True}, ["w"]) == ["w"]
    assert _waiting_for(299, {"w": 2.0}, {"w": True}, ["w"]) == []


def test_waiting__worker_that_is_gone_is_forgotten(clock: Any) -> None:
    _waiting_for(LIMIT, {"w": 1.0}, {"w": True}, ["w"])
    clock.seconds = 301.0
    _waiting_for(LIMIT, {}, {}, [])
    assert celery_standstill._waiting == {}


@pytest.mark.parametrize(("limit", "age", "is_read"), [(LIMIT, 59, False), (LIMIT, 60, True), (0.0, 9999, False)])
def test_worker__queues_are_read_only_where_nothing_has_started_lately(
    clock: Any, monkeypatch: pytest.MonkeyPatch, limit: float, age: int, is_read: bool
) -> None:
    calls: list[list[str]] = []

    def note(_: object, __: object, names: list[str], ___: object) -> dict[str, bool | None]:
        calls.append(names)
        return {}

    monkeypatch.setattr(celery_standstill, "_with_waiting", note)
    answers = {"quiet": [{"time_start": 1e9 - age}, {"time_start": 1e9 - 9999}], "idle": []}
    broker: Any = None
    assert standing_still(broker, answers, limit, lambda: 1) == {}
    assert calls == ([["quiet"]] if is_read else [])
