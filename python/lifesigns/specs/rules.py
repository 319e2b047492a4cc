"""By which rules a check's result is judged, and a failing dependency left alone."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from dataclasses import dataclass

from lifesigns.specs.base import Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker(Value):
    """A circuit breaker. It opens after `failures` in a row (3), or when `failure_rate` or `slow_call_rate` (0 to 1)
    of the last `window_calls` (20) calls within `window` (600 s) failed or took longer than `slow_call` (1 s), but
    not before `minimum_calls` (10). It stays open for `wait` (30 s), doubled with each failed trial up to `max_wait`
    (600 s)."""

    failures: int | None = None
    """Opens after this many failures in a row."""
    failure_rate: float | None = None
    """Opens when this share (0 to 1) of the calls in the window failed."""
    slow_call_rate: float | None = None
    """Opens when this share (0 to 1) of the calls in the window took longer than `slow_call`."""
    slow_call: float | None = None
    window_calls: int | None = None
    """The rates are those of the last `window_calls` calls, not older than `window`; at most 5000."""
    window: float | None = None
    minimum_calls: int | None = None
    """The rates say nothing before this many calls."""
    wait: float | None = None
    """How long it stays open the first time; doubled with each failed trial."""
    max_wait: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds(Value):
    """Where a measured value turns a result degraded, and where it turns it into an error."""

    degraded_above: float
    error_above: float
