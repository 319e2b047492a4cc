"""The public face of the engine: registers checks, runs them, gives the results as dicts."""

from __future__ import annotations

import weakref

from lifesigns import _core, callables
from lifesigns.events import publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from lifesigns.events import BreakerEvent
    from lifesigns.results import Report, Result
    from lifesigns.specs import Breaker, Spec


class Engine:
    """A set of checks that are run together, with what is known of them.

    Cheap to make: threads and connections start with the first run. Safe to use from any thread, from async code and
    after a fork (each process runs checks for itself).

    Args:
        default_timeout: seconds that a check may take, where it names no timeout of its own.
        default_ttl: seconds for which a result is fresh, where the check names no ttl of its own.
        max_stale: seconds after which a result is not shown any more in place of one that is still awaited.
    """

    def __init__(self, default_timeout: float = 5.0, default_ttl: float = 30.0, *, max_stale: float = 60.0) -> None:
        # Default ttl above the bound would make every check wrong: the bound is what the user meant.
        self._native = _core.Engine(default_timeout, min(default_ttl, max_stale), max_stale)
        self._callables: dict[str, int] = {}
        self._subscribers: list[Callable[[BreakerEvent], object]] = []
        weakref.finalize(self, callables.forget, self._callables).atexit = False

    def register(
        self,
        name: str,
        check: Spec | Mapping[str, Any] | Callable[[], Any],
        *,
        critical: bool = True,
        timeout: float | None = None,
        ttl: float | None = None,
        breaker: Breaker | Mapping[str, Any] | None = None,
        depends_on: Iterable[str] = (),
        failures_before_error: int = 1,
        successes_before_healthy: int = 1,
    ) -> None:
        """Adds a check.

        Args:
            name: letters, digits, ``_``, ``-`` and ``.``; it stands in URLs and metrics.
            check: a spec of `lifesigns.specs`, the same as a dict (``{"kind": "redis", "url": ...}``), or a ``def`` or
                ``async def`` callable that returns a result dict (``status``, ``message``, ``details``), a bool, a
                status or message as str, or None for healthy.
            critical: whether its error makes the whole unhealthy.
            timeout: seconds after which it is an error, whatever it is stuck in.
            ttl: seconds for which its result is fresh; at most the engine's ``max_stale``.
            breaker: a circuit breaker around it, as `lifesigns.specs.Breaker` or a dict of its fields.
            depends_on: checks, registered before, whose error makes this one an error without running it.
            failures_before_error: how many errors in a row it takes to show one.
            successes_before_healthy: how many other results in a row it takes to stop showing an error.

        Raises:
            ValueError: anything of this is wrong; the message names the key and what would be right.
        """
        if not isinstance(critical, bool):  # any string would count as true, "no" too
            raise ValueError(f"{name}: critical must be True or False, not a {type(critical).__name__}")
        options = {
            "critical": critical,
            "timeout": timeout,
            "ttl": ttl,
            "breaker": _plain(breaker),
            "depends_on": _names("depends_on", depends_on),
            "failures_before_error": failures_before_error,
            "successes_before_healthy": successes_before_healthy,
        }
        spec = _plain(check)
        if isinstance(spec, dict):
            self._native.register_spec(name, spec, options)
            _hide_secrets(spec)
        elif callable(check):
            callable_id = _core.new_callable_id()
            self._native.register_callable(name, callable_id, options)
            callables.remember(callable_id, check)
            self._callables[name] = callable_id
        else:
            raise _not_a_check(name, check)

    def replace(self, name: str, check: Spec | Mapping[str, Any] | Callable[[], Any]) -> None:
        """Runs another check under a name that is registered, from the next run on.

        How it is run, its circuit breaker and what is known of it stay; only that its last result is fresh no more. So
        thresholds can change while the engine runs.

        Raises:
            UnknownCheckError: the name is not registered.
            ValueError: the check is wrong; the present one stays.
        """
        spec = _plain(check)
        if isinstance(spec, dict):
            self._native.replace_spec(name, spec)
        elif callable(check):
            # The number stays: a former callable that still runs is not begun a second time beside it.
            callable_id = self._callables.get(name) or _core.new_callable_id()
            callables.remember(callable_id, check)
            try:
                self._native.replace_callable(name, callable_id)
            except _core.UnknownCheckError:
                callables.forget({name: callable_id})
                raise
            self._callables[name] = callable_id
        else:
            raise _not_a_check(name, check)

    def limit(self, *, response_time: float | None = None, error_rate: float | None = None) -> None:
        """Sets what makes any healthy check degraded, never an error, from its next run on; None: no limit.

        Args:
            response_time: seconds that a run may take (the first one of a process, which connects, is exempt).
            error_rate: percent of the check's runs in the last 15 minutes, of 20 or more, that may be errors.

        Raises:
            ValueError: a value is out of range.
        """
        self._native.limit(response_time, error_rate)

    def register_declared(self) -> None:
        """Adds the checks that were declared with `lifesigns.check` in the modules imported so far.

        What is registered under the same name already stays as it is.

        Raises:
            ValueError: one depends on a check that there is not.
        """
        from lifesigns.declared import CHECKS, parents_first

        for name in parents_first(CHECKS):
            if name not in self._native.names:
                self.register(name, CHECKS[name].check, **CHECKS[name].options)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all checks, in the order of registration."""
        return tuple(self._native.names)

    def breaker(self, name: str) -> _core.Breaker:
        """The circuit breaker of a check, to look at or to force. ValueError if it has none."""
        return self._native.breaker(name)

    def subscribe(self, subscriber: Callable[[BreakerEvent], object]) -> None:
        """Calls `subscriber` with each state change of a circuit breaker, from the thread whose sweep comes across it.

        Each change is also logged, to the logger ``lifesigns``.
        """
        self._subscribers.append(subscriber)

    def run(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
    ) -> Report:
        """Runs what is not fresh, all at once, and reports.

        Args:
            names: the checks to report on; all, if None.
            critical_only: of these only the critical ones.
            refresh: run also what is fresh. Joins a run that is under way already.
            deadline: seconds after which to report what is known by then: the last result where it is younger than
                ``max_stale``, else an error marked ``pending``. The runs go on for whoever asks next.
            max_age: seconds; take a fresh result only if it is not older.

        Raises:
            UnknownCheckError: a name is not registered.
        """
        sweep = self._begin(names, critical_only, refresh, max_age)
        sweep.wait(deadline)
        return self._reported(sweep)

    def check(
        self, name: str, *, refresh: bool = False, deadline: float | None = None, max_age: float | None = None
    ) -> Result:
        """Runs one check, as `run` does, and gives its result."""
        sweep = self._begin((name,), False, refresh, max_age)
        sweep.wait(deadline)
        self._publish(None)
        return sweep.result()

    async def arun(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
    ) -> Report:
        """`run` for async code: holds up neither the event loop nor a thread of its executor."""
        return self._reported(await self._abegin(names, critical_only, refresh, max_age, deadline))

    async def acheck(
        self, name: str, *, refresh: bool = False, deadline: float | None = None, max_age: float | None = None
    ) -> Result:
        """`check` for async code."""
        sweep = await self._abegin((name,), False, refresh, max_age, deadline)
        self._publish(None)
        return sweep.result()

    def _begin(
        self,
        names: Iterable[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        waker: _core.Waker | None = None,
        token: int = 0,
    ) -> _core.Sweep:
        chosen = None if names is None else _names("names", names)
        if self._callables:
            ids = self._callables.values() if chosen is None else map(self._callables.get, chosen)
            callables.start_threads([callable_id for callable_id in ids if callable_id])
        return self._native.begin(chosen, critical_only, refresh, max_age, waker, token)

    async def _abegin(
        self,
        names: Iterable[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        deadline: float | None,
    ) -> _core.Sweep:
        from lifesigns import aio  # here, since asyncio takes longer to import than the rest together

        return await aio.finish(
            lambda waker, token: self._begin(names, critical_only, refresh, max_age, waker, token), deadline
        )

    def _reported(self, sweep: _core.Sweep) -> Report:
        report = sweep.report()
        self._publish(report["correlation_id"])
        return report

    def _publish(self, correlation_id: str | None) -> None:
        events = self._native.take_events()
        if events:
            publish(events, tuple(self._subscribers), correlation_id)


def _names(what: str, names: Iterable[str]) -> list[str]:
    """A list of names; a string would be taken for a list of letters."""
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise ValueError(f"{what} must be a list of names, not {names!r}")
    return list(names)


def _hide_secrets(spec: dict[str, Any]) -> None:
    """Keeps the secrets of a target out of what callables return, which may quote an error of its client."""
    from lifesigns.redaction import hide, secrets_in

    hide(secrets_in(spec))


def _not_a_check(name: str, value: object) -> ValueError:
    return ValueError(f"{name}: a check is a spec, a dict with a 'kind', or a callable, not {type(value).__name__}")


def _plain(value: Any) -> Any:
    """Specs as dicts; anything else as it is."""
    to_dict = getattr(value, "to_dict", None)
    if to_dict is not None:
        return to_dict()
    return dict(value) if hasattr(value, "keys") else value
