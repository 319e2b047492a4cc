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
    deadline. ``age_seconds`` stands beside ``cached: True``. ``since`` is when the check took its status. ``found_by``
    is the host of the fleet that ran it, where that was another one.
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
    found_by: str


class Summary(TypedDict):
    """How many checks are in which state; ``health_percentage`` is healthy / (total - skipped)."""

    total_checks: int
    healthy: int
    degraded: int
    errors: int
    skipped: int
    health_percentage: float


class CheckCounters(TypedDict):
    """What was counted of one check since its first run: totals, which only grow within one ``epoch``.

    ``epoch`` is another one once they start again from zero; None before the first run. ``since`` and ``at`` are in
    seconds since 1970: when the first run ended, and of when the totals are. ``stale_after`` is for how many seconds a
    result holds, ``holds_for`` for how many the latest does: longer while its circuit is open. ``healthy``,
    ``degraded``, ``error`` and ``unknown`` are seconds in that status: a result holds until the next one, at most until
    it is stale. Stretches are
    how often it became an error, and how often degraded or an error. ``durations`` are runs by duration, in the buckets
    of ``health_check_duration_seconds``: not cumulative, in seconds up to `DURATION_BOUNDS`, and longer ones.
    """

    epoch: str | None
    since: float | None
    at: float
    depends_on: list[str]
    stale_after: float
    holds_for: float
    healthy: float
    degraded: float
    error: float
    unknown: float
    healthy_runs: int
    degraded_runs: int
    error_runs: int
    error_stretches: int
    unhealthy_stretches: int
    duration_seconds: float
    durations: list[int]


class BreakerInfo(TypedDict):
    """A circuit breaker: its state, who decides on it, and its options (see `lifesigns.specs.Breaker`)."""

    state: Literal["closed", "open", "half-open"]
    mode: Literal["automatic", "forced-open", "forced-closed", "disabled"]
    failures: int | None
    failure_rate: float | None
    slow_call_rate: float | None
    slow_call: float
    window_calls: int
    window: float
    minimum_calls: int
    wait: float
    max_wait: float


class CheckInfo(TypedDict):
    """How a check is registered; times in seconds. ``stale_after`` is for how long a result holds."""

    critical: bool
    timeout: float
    ttl: float
    stale_after: float
    depends_on: list[str]
    failures_before_error: int
    successes_before_healthy: int
    runbook: str | None
    server: str | None
    breaker: BreakerInfo | None


class ProcessInfo(TypedDict):
    """One process that runs the checks of an engine in the background.

    Lags are for how many seconds its interpreter has not run, and by how many its slowest event loop is late, None
    where it watches none. ``served`` are the addresses at which it serves probes.
    """

    pid: int
    interpreter_lag: float
    event_loop_lag: float | None
    ready: bool
    draining: bool
    served: list[str]


class InstanceInfo(TypedDict):
    """One instance of a fleet: a host, or a pod. Times in seconds; ``state`` as in `FleetView`."""

    id: str
    name: str
    zone: str | None
    state: Literal["ready", "not_ready", "draining", "missed"]
    version: str
    settings: str
    age_seconds: float
    uptime_seconds: float
    processes: int
    interpreter_lag: float | None
    failing: list[str]


class FailingInstance(TypedDict):
    """One instance on which a check is degraded or in error, and since when (ISO 8601, UTC)."""

    instance: str
    name: str
    status: Literal["degraded", "error"]
    since: str


class FleetCheck(TypedDict):
    """How a check is on all instances that know it.

    ``fault`` says where it is: ``"dependency"`` where at least half of the instances have it, or where one runs the
    check for all; ``"instance"`` where fewer have it. ``summary`` is a sentence.
    """

    scope: Literal["process", "host", "fleet"]
    healthy: int
    total: int
    fault: Literal["dependency", "instance"] | None
    summary: str
    failing: list[FailingInstance]


class FleetLease(TypedDict):
    """The instance that runs a check for all now, and for how many seconds its lease is good."""

    check: str
    instance: str
    name: str
    seconds_left: float


class FleetHolder(TypedDict):
    """The instance that holds a lease, and for how many seconds unless it renews it."""

    instance: str
    name: str
    seconds_left: float


class FleetView(TypedDict):
    """What is known of a fleet.

    ``visible``: whether its Redis could be read; where not, ``reason`` says why, and no instance is known. ``missed``
    instances have not announced themselves three times in a row. ``versions``, ``settings`` (hashes of how the checks
    are configured) and ``zones`` count instances. ``incidents_holder``: the one that decides about incidents.
    """

    visible: bool
    reason: str | None
    server: str
    instance: str
    states: dict[str, int]
    instances: list[InstanceInfo]
    checks: dict[str, FleetCheck]
    versions: dict[str, int]
    settings: dict[str, int]
    zones: dict[str, dict[str, int]]
    leases: list[FleetLease]
    incidents_holder: FleetHolder | None


# Of the buckets of durations, in seconds; longer runs are in one more.
DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class BudgetAlarm(TypedDict):
    """That an error budget is spent too fast: how urgent that is, and a sentence for people."""

    severity: Literal["critical", "error", "warning"]
    message: str


class _Objective(TypedDict):
    ratio: float
    budget_remaining: float | None
    burn_rates: dict[str, float]


class Objective(_Objective, total=False):
    """What is known of the objective of one check.

    ``ratio`` is the share of time that is to be good, ``budget_remaining`` the share of the error budget that is left,
    below 0 once it is overspent, None where nothing is known; ``burn_rates`` by window (``5m``): 1 spends the budget
    within its period. An ``alarm`` opens an incident.
    """

    alarm: BudgetAlarm | None


class Report(TypedDict):
    """What came of a sweep. ``unhealthy`` if and only if a critical check is in error."""

    status: Literal["healthy", "degraded", "unhealthy"]
    message: str
    timestamp: str
    uptime_seconds: float
    summary: Summary
    checks: dict[str, Result]
    correlation_id: str
