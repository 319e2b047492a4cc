"""The types of results and reports."""

from typing import Any, Literal, TypedDict

Status = Literal["healthy", "degraded", "error", "skipped"]


class _Result(TypedDict):
    status: Status
    message: str
    timestamp: str
    duration_ms: float
    cached: bool


class _LastError(TypedDict):
    message: str
    timestamp: str


class LastError(_LastError, total=False):
    """The last run of a check that ended in error."""

    error_type: str


class Result(_Result, total=False):
    """What came of one check; keys that do not apply are left out.

    ``timestamp`` is ISO 8601 in UTC. ``raw_status`` is what the run itself said, where ``failures_before_error`` or
    ``successes_before_healthy`` holds the status back. ``pending`` is true where nothing was known within the caller's
    deadline. ``age_seconds`` stands beside ``cached: True``. ``since`` is when the check took its status.
    Without details it is ``status``, ``timestamp``, ``cached``, and where they apply ``age_seconds`` and ``pending``.
    """

    details: dict[str, Any]
    error_type: str
    timeout_seconds: float
    raw_status: Status
    circuit_state: Literal["closed", "open", "half-open"]
    retry_after_seconds: float
    blocked_by: str
    age_seconds: float
    pending: bool
    since: str
    last_error: LastError


class Summary(TypedDict):
    """How many checks are in which state; ``health_percentage`` is healthy / (total - skipped)."""

    total_checks: int
    healthy: int
    degraded: int
    errors: int
    skipped: int
    health_percentage: float


class Report(TypedDict):
    """What came of a sweep. ``unhealthy`` if and only if a critical check is in error."""

    status: Literal["healthy", "degraded", "unhealthy"]
    message: str
    timestamp: str
    uptime_seconds: float
    summary: Summary
    checks: dict[str, Result]
    correlation_id: str
