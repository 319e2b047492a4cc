"""What the dashboard consists of: as JSON, and as its templates get it. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from django_lifesigns.dashboard.self_healing import ActionRunEntry, ActionsEntry

# Unknown: it has not run yet, or its last result is stale.
ShownStatus = Literal["healthy", "degraded", "error", "skipped", "unknown"]


class StripDay(TypedDict):
    """A day (of UTC) that was not plainly healthy; seconds in the mean over all hosts."""

    date: str
    state: str
    error_seconds: float
    degraded_seconds: float
    maintenance_seconds: float
    blocked_seconds: float


class StripWords(TypedDict):
    """The last days of a check, today last: one letter for each in `states`, see `strips.STATES`."""

    first_day: str
    states: str
    summary: str


class StripEntry(StripWords, total=False):
    """The same with figures, which the page of all checks does without: they are many."""

    days: list[StripDay]


class AvailabilityEntry(TypedDict):
    """The share of the known time of these days that was not in error, and the share of time that is known."""

    ratio: float | None
    known_ratio: float
    bad_seconds: float


class CircuitEntry(TypedDict):
    """A circuit breaker: its state, and who decides on it."""

    state: str
    mode: str


class CheckEntry(TypedDict):
    """One check. `strip`, `availability` are None where the history cannot be read or has nothing of it."""

    name: str
    status: ShownStatus
    critical: bool
    message: str
    since: str | None
    timestamp: str | None
    duration_ms: float | None
    error_type: str | None
    raw_status: str | None
    depends_on: list[str]
    blocked_by: str | None
    # The checks that are not run because of this one.
    blocks: list[str]
    circuit: CircuitEntry | None
    # Until the next attempt, while the circuit is open.
    retry_after_seconds: float | None
    last_error: dict[str, Any] | None
    runbook: str | None
    silenced_until: str | None
    strip: StripEntry | None
    availability: AvailabilityEntry | None
    objective: dict[str, Any] | None
    # What self-healing did last about it, in the last 24 hours.
    last_action: ActionRunEntry | None


class IncidentEntry(TypedDict):
    """One incident."""

    id: str
    check: str
    state: str
    severity: str
    since: str
    resolved_at: str | None
    duration_seconds: float
    message: str
    blocked: list[str]
    acknowledged_by: str | None
    is_flapping: bool


class TimelineEntry(TypedDict):
    """Something that has happened to an incident."""

    at: str
    kind: str
    text: str


class IncidentStory(IncidentEntry):
    """One incident with all that has happened to it."""

    timeline: list[TimelineEntry]


class WorkerEntry(TypedDict):
    """One process that runs the checks; the lag is that of its interpreter or its slowest event loop, late from 1 s."""

    pid: int
    lag_seconds: float
    is_late: bool
    is_ready: bool
    is_draining: bool
    served: list[str]


class SummaryEntry(TypedDict):
    """How many checks are in which state."""

    total: int
    error: int
    degraded: int
    unknown: int
    healthy: int
    skipped: int


class DashboardData(TypedDict):
    """The whole. `revision` is another one when something has changed beside times and durations."""

    status: str
    message: str
    at: str
    revision: str
    days: int
    summary: SummaryEntry
    # Why the history cannot be read, if so.
    history_error: str | None
    # First what fails, each followed by what it blocks; then degraded, unknown, healthy and skipped.
    checks: list[CheckEntry]
    # None without `ALERTS`.
    incidents: list[IncidentEntry] | None
    # None without `ACTIONS`.
    actions: ActionsEntry | None
    workers: list[WorkerEntry]


class DurationsEntry(TypedDict):
    """Durations of all runs within some time, None without any."""

    window: str
    runs: int
    median_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class OutageEntry(TypedDict):
    """A time in which the check was not healthy; `until` is None while it lasts."""

    status: str
    since: str
    until: str | None
    duration_seconds: float
    cause: str


class CheckData(TypedDict):
    """One check with all that is known of it."""

    at: str
    revision: str
    days: int
    history_error: str | None
    check: CheckEntry
    durations: list[DurationsEntry]
    outages: list[OutageEntry]
    incidents: list[IncidentStory] | None
    actions: ActionsEntry | None
    configuration: dict[str, Any]
