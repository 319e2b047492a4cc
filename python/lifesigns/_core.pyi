"""The native engine. Private: `lifesigns.Engine` is its public face."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, final

from lifesigns.results import CheckCounters, CheckInfo, FleetView, Objective, ProcessInfo, Report, Result

__all__ = [
    "STORE_SUFFIX",
    "Actions",
    "Alerts",
    "Breaker",
    "Circuit",
    "Engine",
    "Permit",
    "Server",
    "Sweep",
    "UnknownCheckError",
    "Waker",
    "__version__",
    "beat",
    "check_counters",
    "check_infos",
    "close_connections",
    "default_scope",
    "default_store",
    "drain",
    "draining",
    "fleet_view",
    "heartbeats_of",
    "hide",
    "hold_address",
    "is_recording",
    "job_done",
    "job_failed",
    "job_raised",
    "job_returned",
    "job_unobserved",
    "job_withdrawn",
    "known",
    "loop_ended",
    "loop_runs",
    "maintenance_windows",
    "metrics_format",
    "new_callable_id",
    "next_job",
    "notice_for",
    "notify_systemd",
    "objectives_turn",
    "owns_engine",
    "parse_postgres_url",
    "processes",
    "read_store",
    "release_threads",
    "request_server",
    "reserve_threads",
    "set_objectives",
    "start_recording",
    "stop_interpreter_monitor",
    "take_results",
    "thread_ends",
    "undrain",
    "uptime",
    "validate_alerts",
]

STORE_SUFFIX: str
__version__: str

class UnknownCheckError(LookupError):
    """A name of a check, or of a group, that is not registered. Its message names those that are."""

@final
class Engine:
    """A set of checks and what is known of them. Safe to use from any thread and after a fork."""

    def __new__(
        cls,
        default_timeout: float,
        default_ttl: float,
        max_stale: float,
        store: PathLike[str] | str | None = None,
        fleet: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
    ) -> Engine:
        """With `store` it knows what all processes know that name the same file.

        With `fleet`, its options and the fields of its server, it knows what the hosts of a fleet share.
        """

    @property
    def names(self) -> list[str]: ...
    def add_group(self, name: str, checks: Sequence[str], critical: Sequence[str] | None = None) -> None:
        """Adds a group, in place of one of the same name. ValueError names what is wrong with it."""

    @property
    def groups(self) -> list[str]: ...
    def names_of(self, group: str, critical_only: bool = False) -> list[str]:
        """The names of the checks of a group, or of those of them that are critical there."""

    def register_spec(self, name: str, spec: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Adds a native check from ``{"kind": ...}``. ValueError names the wrong key and those that are right."""

    def register_callable(self, name: str, id: int, identity: str, options: Mapping[str, Any]) -> None:
        """Adds a callable; ``id`` comes back in each job that calls it, ``identity`` is the same in all processes."""

    def replace_spec(self, name: str, spec: Mapping[str, Any]) -> None:
        """Lets a registered name run another native check."""

    def replace_callable(self, name: str, id: int) -> None:
        """Lets a registered name run another callable."""

    def limit(self, response_time: float | None, error_rate: float | None) -> None:
        """Sets what degrades any check: seconds that a run took, percent of the latest runs that failed."""

    def breaker(self, name: str) -> Breaker:
        """The circuit breaker of a check; ValueError if it has none."""

    def take_events(self) -> tuple[list[dict[str, Any]], list[tuple[str, bool, str, str | None]]] | None:
        """Events (see `lifesigns.events`) and diagnostics (the logger, whether a warning, the text, the address of the
        probe server that it is about) since the last call, if any."""

    def metrics(self, openmetrics: bool) -> str:
        """The metrics as Prometheus text or as OpenMetrics."""

    def start_background(self, critical_max_age: float | None, publisher: int, as_member: bool = True) -> None:
        """Renews results shortly before they expire, those of critical checks before they are that old.

        ``publisher`` is the callable that logs events and passes them to subscribers; ``as_member``: announce this
        process to those that share, with this engine's readiness.
        """

    def note(self, name: str, at: float, gap: float) -> bool:
        """Whether no other process that shares with this one keeps the result of that check and time, or of one close.

        ``at`` is in seconds since 1970; ``gap``, in seconds, is how close another one may be.
        """

    def watch_claims(self, name: str, gap: float, callable: int) -> None:
        """Has a callable called once no process that shares has noted a result of that name for ``gap`` seconds.

        The background calls it, about once a second until one has. Where nothing is shared it is never called.
        """

    def watch_result(self, name: str, callable: int) -> None:
        """Has a callable called with each result of a check that differs from the last one in status or details.

        The background calls it, whichever of the processes that share has found the result.
        """

    def has_started(self, passing: bool) -> bool:
        """Whether the critical checks have passed once, here or in a process that shares with this one and still lives.

        ``passing``: whether they do now.
        """

    def resume(self) -> None:
        """Start again what a fork ended: probe servers and the like.

        Every sweep does so, too, but for the probe servers of multiprocessing's children.
        """

    def start(
        self,
        names: Sequence[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        group: str | None = None,
        waker: Waker | None = None,
        token: int = 0,
    ) -> Sweep:
        """Start a sweep. ``waker`` receives ``token`` once every answer is there, unless they are at once."""

    def run(
        self,
        names: Sequence[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        group: str | None = None,
        deadline: float | None = None,
    ) -> Sweep:
        """Starts a sweep, and waits as `Sweep.wait` does."""

@final
class Alerts:
    """The alerts of one engine. Safe to use from any thread and after a fork."""

    def __new__(
        cls, engine: Engine, application: str, settings: Mapping[str, Any], callables: Mapping[str, int]
    ) -> Alerts:
        """Alerts by `settings` from the engine's first run on. ValueError names the wrong key and those that are right.

        ``application`` is that of settings which name none; ``callables`` are the numbers of the channels that are
        written in Python, by name.
        """

    def incidents(self, open_only: bool) -> list[dict[str, Any]]: ...
    def is_holder(self) -> bool:
        """Whether this host decides about incidents: without a fleet, or as the holder of those of its fleet."""

    def confirm(self, revisions: Mapping[str, int]) -> None:
        """Notes which revisions of incidents the tables have."""

    def restore(self, incidents: Sequence[Mapping[str, Any]], retry: bool) -> None:
        """Takes back incidents that `incidents` has shown before a restart; with ``retry`` as `retry` does."""

    def acknowledge(self, check: str, author: str, comment: str) -> bool: ...
    def silence(
        self, id: str, matchers: Mapping[str, Any], start: float, end: float, author: str, comment: str
    ) -> None:
        """Adds a silence, in place of one of the same id. Times in seconds since 1970."""

    def expire_silence(self, id: str) -> bool: ...
    def silences(self) -> list[dict[str, Any]]: ...
    def attempt(self, channel: str, notice: Mapping[str, Any], reference: str | None = None) -> dict[str, Any]:
        """Attempts to deliver a notice once over a channel, beside all that waits for it, and returns the result.

        ``state`` ("delivered", "refused" or "failed") and ``answer``, one line for people. Beside them stands what the
        next notice of the incident is given as ``reference``, or ``retry_after`` (seconds) and ``may_have_arrived``.
        LookupError: there is no such channel.
        """

    def retry(self, id: str) -> int:
        """Has everything of an incident tried again that was given up; returns how many notices are pending then."""

    def trigger_again(self, id: str, after: int) -> None:
        """Sends another trigger of an open incident, if it still fails. LookupError: there is none.

        ``after`` is the number of the last notice of it that another scope has sent.
        """

    def flush(self, at_most: float) -> None:
        """Sends what is due, for a process that is about to end, for so many seconds at most."""

@final
class Actions:
    """The actions of one engine. Safe to use from any thread and after a fork."""

    def __new__(
        cls,
        engine: Engine,
        application: str,
        settings: Mapping[str, Any],
        callables: Mapping[str, int],
        alerts: Alerts | None,
        off: str | None,
    ) -> Actions:
        """Actions by `settings` from the engine's first run on. ValueError names what is wrong.

        ``callables`` are the numbers of those that are written in Python, by name; ``off`` is what has switched all of
        them off in this process.
        """

    def configured(self) -> dict[str, Any]:
        """All actions, and what has switched them off."""

    def entries(self) -> list[dict[str, Any]]:
        """What has run, and what was stopped, the oldest first."""

    def request(self, name: str, author: str) -> None:
        """Has an action run once, in the first process that can."""

    def switch(self, name: str | None, is_on: bool, author: str) -> bool:
        """Switches an action off or on, or all of them; False if that has changed nothing."""

    def confirm(self, revisions: Mapping[str, int]) -> None:
        """Notes which revisions of entries the tables have."""

@final
class Breaker:
    """The circuit breaker of one check: of this process, or with ``share="host"`` of all that share it."""

    @property
    def state(self) -> Literal["closed", "open", "half-open"]: ...
    @property
    def mode(self) -> Literal["automatic", "forced-open", "forced-closed", "disabled"]:
        """Who decides on the state: the results, or an operator until `reset`."""

    @property
    def retry_after(self) -> float | None:
        """Seconds until the next attempt; None where calls go ahead, or where only an operator changes that."""

    def force_open(self) -> None:
        """Refuses every run until `reset`."""

    def force_closed(self) -> None:
        """Allows every run until `reset`, whatever comes of it."""

    def disable(self) -> None:
        """As without a circuit breaker, until `reset`."""

    def reset(self) -> None:
        """Closed, as at the start; the results decide again."""

@final
class Circuit:
    """A circuit breaker around calls that are no checks. A forked child starts with a closed one."""

    def __new__(cls, spec: Mapping[str, Any], trial_lease: float) -> Circuit:
        """``trial_lease``: seconds after which a trial that has not ended is written off."""

    @property
    def state(self) -> Literal["closed", "open", "half-open"]: ...
    @property
    def retry_after(self) -> float | None:
        """Seconds until the next attempt; None where calls go ahead."""

    @property
    def failures(self) -> int:
        """How many calls in a row have failed."""

    def acquire(self) -> Permit | None:
        """The right to make one call; None while the circuit is open."""

    def reset(self) -> None:
        """Closed, as at the start."""

@final
class Permit:
    """The right to make one call: in a ``with`` block, of which an `Exception` counts as a failure."""

    def __enter__(self) -> Permit: ...
    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None, /
    ) -> None: ...

@final
class Sweep:
    """The outcome of one sweep: see `Engine.sweep`. All that it shows is as it was at the first request for that."""

    @property
    def status(self) -> Literal["healthy", "degraded", "unhealthy"]:
        """How the whole is."""

    @property
    def correlation_id(self) -> str:
        """What stands in the report and in every log line of the sweep."""

    @property
    def done(self) -> bool:
        """Whether every answer is there."""

    def remaining(self, deadline: float | None = None) -> float:
        """Seconds from now for which to wait at most, as `wait` does."""

    def wait(self, deadline: float | None = None) -> None:
        """Waits until every answer is there, at most until the sweep's own end or for ``deadline`` seconds.

        Lets other threads run, and signal handlers: a KeyboardInterrupt ends the waiting, not the checks.
        """

    def report(self, details: bool = True) -> Report:
        """The report; without ``details`` only how it is, not why."""

    def json(self, details: bool = True) -> str:
        """The report as JSON, in an eighth of the time that `report` and `json.dumps` take."""

    def result(self, details: bool = True) -> Result:
        """The result of the first check, as far as it is known now; without ``details`` only how it is, not why."""

@final
class Server:
    """A probe server, in every process that uses its engine."""

    def __new__(cls, engine: Engine, startup: Engine | None, address: str, options: Mapping[str, Any]) -> Server: ...
    @property
    def address(self) -> str:
        """Where it listens: with the port that the kernel chose for port 0."""

    @property
    def refused(self) -> str | None:
        """Why it could not listen when it was made."""

    def close(self) -> None:
        """Stops listening in this process."""

@final
class Waker:
    """Wakes an event loop from the engine's threads, by making a socket readable."""

    def __new__(cls) -> Waker: ...
    def fileno(self) -> int:
        """What an event loop is to watch for reading. Not on Windows."""

    def drain(self) -> list[int]:
        """The tokens of the sweeps that have ended since the last call."""

def default_scope(kind: str) -> str:
    """Who shares the result of a check of that kind where it does not say so: "host" or "fleet"."""

def new_callable_id() -> int:
    """A number for a callable, unique in this process and its children."""

def reserve_threads(callables: Sequence[int]) -> int:
    """How many more threads have to run `next_job` so that these callables can run at once.

    They count from now on: start them, and release those that cannot be started.
    """

def notice_for(callable: int) -> dict[str, Any] | None:
    """The notice that a channel's callable of that number is to send now."""

def release_threads(count: int) -> None:
    """Gives back threads that were reserved and could not be started, or that end."""

def next_job() -> tuple[int, int, float]:
    """Waits for the next call to make: (token, callable, timeout in seconds)."""

def job_done(token: int, callable: int, found: tuple[str, str, Mapping[str, Any] | None]) -> tuple[int, int, float]:
    """Completes a call with what its callable found (status, message, details), and waits for the next call to make.

    So do all that follow.
    """

def job_failed(token: int, callable: int, failure: tuple[str, str, Mapping[str, Any] | None]) -> tuple[int, int, float]:
    """Completes a call with an error whose text is meant to be shown (class, text, details)."""

def job_raised(token: int, callable: int, cause: tuple[str, str | None]) -> tuple[int, int, float]:
    """Completes a call whose callable raised an exception of that class, and where."""

def job_returned(token: int, callable: int, what: str) -> tuple[int, int, float]:
    """Completes a call whose callable returned what means nothing."""

def job_unobserved(token: int, callable: int, _nothing: None) -> tuple[int, int, float]:
    """Completes a call of which nothing was found out, by a fault of this process: it is about to end."""

def job_withdrawn(token: int, callable: int, _nothing: None) -> tuple[int, int, float]:
    """Completes a call that cannot be made, since its engine is gone."""

def thread_ends(token: int, callable: int, cause: tuple[str, str | None]) -> None:
    """Completes a call as `job_raised` does, of an exception that ends the thread, which makes no more calls."""

def check_counters(engine: Engine) -> dict[str, CheckCounters]:
    """What was counted of each check, by name, parents first. Runs nothing."""

def start_recording(engine: Engine, name: str, callable: int, pause: float, every: float) -> None:
    """Gathers the results of all processes that share until another one claims ``name``; the callable is to fetch them.

    ``pause`` is how often, in seconds, those of other processes are gathered, ``every`` how often they are fetched.
    """

def is_recording(engine: Engine) -> bool:
    """Whether this process gathers results."""

def take_results(engine: Engine, reads: bool) -> list[tuple[str, Result, bool]]:
    """The results that were gathered since the last call, oldest first: check, result, whether it is claimed here.

    With ``reads`` also what is known of each check and was not returned before."""

def known(engine: Engine) -> Report:
    """The report on what is known of all checks now. Runs nothing."""

def check_infos(engine: Engine) -> dict[str, CheckInfo]:
    """How each check is registered, by name, parents first, and the state of its circuit breaker."""

def fleet_view(engine: Engine) -> FleetView | None:
    """What all instances of the engine's fleet say of themselves and of their checks; None without a fleet."""

def processes(engine: Engine) -> list[ProcessInfo]:
    """The processes that share what they know with this one, itself first."""

def maintenance_windows(
    maintenance: Sequence[Mapping[str, Any]], checks: Sequence[str], since: float, until: float
) -> dict[str, list[tuple[float, float]]]:
    """When each check is in planned maintenance between two times, in seconds since 1970."""

def set_objectives(engine: Engine, objectives: Mapping[str, Objective], fence: int = 0) -> None:
    """Replaces what is known of objectives, in all processes that share with this one, for 5 minutes.

    With the fence of `objectives_turn` in all hosts of the fleet."""

def objectives_turn(engine: Engine) -> int | None:
    """The fence with which this process is to work out the objectives now for all hosts of its fleet, 0: for those that
    share with it; None where another host has, or does."""

def beat(name: str) -> None:
    """Record a heartbeat of ``name`` for ``heartbeat`` checks here and in processes that share a store with this one.

    Takes some microseconds. A process without checks must make an `Engine` with ``share="host"`` first, and with the
    ``application`` of those that check it. 500 names are kept at most, in each process and in each store: those sent
    once, longest ago, are dropped.
    """

def heartbeats_of(prefix: str) -> dict[str, float]:
    """Return the age in seconds of the last heartbeat of each name that starts with ``prefix``."""

def hide(secrets: list[bytes]) -> None:
    """Replaces the secrets, as a program would write them, that are hidden in what other programs wrote."""

def default_store() -> Path:
    """The directory where the processes of this user find each other, unless another one is configured."""

def validate_alerts(settings: Mapping[str, Any], callables: Mapping[str, int]) -> None:
    """ValueError as `Alerts` would raise it."""

def close_connections() -> None:
    """Closes the connections that this process keeps between runs, once those who use them are done.

    The next run opens new ones. For who wants to drop a database, or a user, that a check was connected as.
    """

def drain() -> None:
    """Marks this process as about to end: it is not ready any more, though alive."""

def undrain() -> None:
    """Takes `drain` back, for tests."""

def draining() -> bool:
    """Whether `drain` was called in this process."""

def uptime() -> float:
    """How long ago this process loaded the library, or was forked from one that had, in seconds."""

def owns_engine() -> bool:
    """Returns whether this interpreter is the one of the process that loaded the module first."""

def parse_postgres_url(url: str) -> dict[str, Any]:
    """Returns the fields of a server that a ``postgresql://`` URL names."""

def metrics_format(accept: str) -> tuple[bool, str]:
    """What an ``Accept`` header wants metrics to be: whether OpenMetrics, and the content type."""

def stop_interpreter_monitor() -> None:
    """Says that the interpreter is about to end: no thread is to wait for it any more."""

def loop_runs(id: int, every: float) -> None:
    """Says that an event loop runs, and will say so again after ``every`` seconds."""

def loop_ended(id: int) -> None:
    """Says that an event loop is no more."""

def request_server(address: str, path: str, timeout: float) -> tuple[bool, str]:
    """Whether the probe server at that address says yes, and one line of why."""

def read_store(path: str, ready: bool, wedged_after: float) -> tuple[bool, str]:
    """Whether any process that uses a store is alive, or ready, and one line of why."""

def hold_address(address: str, application: str) -> str:
    """Bind the address of probe servers for the processes that are forked from this one; returns it with its port."""

def notify_systemd(engine: Engine, wedged_after: float, alive_requires: str) -> bool:
    """Notifies systemd that this process is ready and alive; False if systemd expects no notifications."""
