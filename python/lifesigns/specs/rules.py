"""By which rules a check's result is judged, and a failing dependency left alone."""

from __future__ import annotations

from dataclasses import dataclass

from lifesigns.specs.base import Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds(Value):
    """Above which measured value a result is degraded, and above which it is an error."""

    degraded_above: float
    error_above: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker(Value):
    """A circuit breaker. It opens after `failures` in a row (3), or when `failure_rate` or `slow_call_rate` (0 to 1)
    of the last `window_calls` (20, at most 5,000) calls within `window` (600 s) failed or took longer than `slow_call`
    (1 s), but not before `minimum_calls` (10). It stays open for `wait` (30 s), doubled with each failed trial up to
    `max_wait` (600 s)."""

    failures: int | None = None
    failure_rate: float | None = None
    slow_call_rate: float | None = None
    slow_call: float | None = None
    window_calls: int | None = None
    window: float | None = None
    minimum_calls: int | None = None
    wait: float | None = None
    max_wait: float | None = None
