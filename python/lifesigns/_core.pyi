"""The native engine. Private: `lifesigns.Engine` is its public face."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, final

from lifesigns.results import Report, Result

__all__ = [
    "Breaker",
    "Circuit",
    "Engine",
    "Permit",
    "Sweep",
    "UnknownCheckError",
    "Waker",
    "__version__",
    "drain",
    "draining",
    "job_done",
    "new_callable_id",
    "next_job",
    "reserve_threads",
    "thread_ended",
]

__version__: str

class UnknownCheckError(LookupError):
    """A check name that is not registered. Its message names those that are."""

@final
class Engine:
    """A set of checks and what is known of them. Safe to use from any thread and after a fork."""

    def __new__(cls, default_timeout: float, default_ttl: float, max_stale: float) -> Engine: ...
    @property
    def names(self) -> list[str]: ...
    def register_spec(self, name: str, spec: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Adds a native check from ``{"kind": ...}``. ValueError names the wrong key and those that are right."""

    def register_callable(self, name: str, id: int, options: Mapping[str, Any]) -> None:
        """Adds a callable; ``id`` comes back in each job that calls it."""

    def replace_spec(self, name: str, spec: Mapping[str, Any]) -> None:
        """Lets a registered name run another native check."""

    def replace_callable(self, name: str, id: int) -> None:
        """Lets a registered name run another callable."""

    def limit(self, response_time: float | None, error_rate: float | None) -> None:
        """Sets what degrades any check: seconds that a run took, percent of the latest runs that failed."""

    def breaker(self, name: str) -> Breaker:
        """The circuit breaker of a check; ValueError if it has none."""

    def take_events(self) -> list[tuple[str, str, str, float]]:
        """The state changes of circuit breakers since the last call: (check, from, to, seconds since 1970)."""

    def begin(
        self,
        names: Sequence[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        waker: Waker | None = None,
        token: int = 0,
    ) -> Sweep:
        """Starts a sweep. ``waker`` is told ``token`` once every answer is there, unless they are at once."""

@final
class Breaker:
    """The circuit breaker of one check, in this process."""

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
    """A circuit breaker around calls that are no checks. A forked child begins with a closed one."""

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
    """A sweep under way."""

    @property
    def done(self) -> bool:
        """Whether every answer is there."""

    @property
    def remaining(self) -> float:
        """Seconds from now until the sweep has ended, whatever happens."""

    def wait(self, deadline: float | None = None) -> None:
        """Waits until every answer is there, at most until the sweep's own end or for ``deadline`` seconds.

        Lets other threads run, and signal handlers: a KeyboardInterrupt ends the waiting, not the checks.
        """

    def report(self) -> Report:
        """The report on what is known now."""

    def result(self) -> Result:
        """The result of the first check, as far as it is known now."""

@final
class Waker:
    """Wakes an event loop from the engine's threads, by making a socket readable."""

    def __new__(cls) -> Waker: ...
    def fileno(self) -> int:
        """What an event loop is to watch for reading. Not on Windows."""

    def drain(self) -> list[int]:
        """The tokens of the sweeps that have ended since the last call."""

def new_callable_id() -> int:
    """A number for a callable, unique in this process and its children."""

def reserve_threads(callables: Sequence[int]) -> int:
    """How many more threads have to run `next_job` so that these callables can run at once."""

def thread_ended() -> None:
    """Says that a thread has left `next_job` for good."""

def next_job() -> tuple[int, int, float]:
    """Waits for the next call to make: (token, callable, timeout in seconds)."""

def job_done(token: int, callable: int, answer: Mapping[str, Any]) -> None:
    """Hands in the answer to a call: ``result``, ``raised`` or ``returned`` (see `lifesigns.callables`)."""

def drain() -> None:
    """Marks this process as about to end: it is not ready any more, though alive."""

def draining() -> bool:
    """Whether `drain` was called in this process."""
