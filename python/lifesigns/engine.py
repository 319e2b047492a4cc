"""The public face of the engine: registers checks, runs them, gives the results as dicts."""

from __future__ import annotations

import weakref

from lifesigns import _core, callables
from lifesigns.arguments import hide_secrets, list_of_names, not_a_check, plain_spec, store_file
from lifesigns.wedge import stop_at_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike
    from typing import Any, Literal

    from lifesigns.events import BreakerEvent
    from lifesigns.results import Report, Result
    from lifesigns.serving import ProbeServer
    from lifesigns.specs import Breaker, Spec


class Engine:
    """A set of checks that are run together, with what is known of them.

    Cheap to make: threads, connections and the store start with the first run. Safe to use from any thread, from async
    code and after a fork.

    Args:
        default_timeout: seconds that a check may take, where it names no timeout of its own.
        default_ttl: seconds for which a result is fresh, where the check names no ttl of its own.
        max_stale: seconds after which a result is not shown any more in place of one that is still awaited.
        share: ``"process"``: each process checks for itself. ``"host"``: all processes of this user on this host (or
            in this pod) that name the same ``application`` and ``store_path`` know the same: one runs a check for all,
            circuit breakers and their forced states are one, and what is counted survives each of them. A store that
            cannot be used is logged, and each process checks for itself until it can.
        application: letters, digits, ``_``, ``-`` and ``.``; keeps applications apart that use one directory. Native
            checks that differ in what they check or in an option are kept apart anyhow, callables by where they were
            written: see `identity` of `register`.
        store_path: the directory of the store; made if it is not there, refused if it belongs to somebody else, is a
            symbolic link or can be written to by others. None: one for each user in ``/dev/shm``, or in the directory
            for temporary files where there is none.

    Raises:
        ValueError: anything of this is wrong.
    """

    def __init__(
        self,
        default_timeout: float = 5.0,
        default_ttl: float = 30.0,
        *,
        max_stale: float = 60.0,
        share: Literal["process", "host"] = "process",
        application: str = "default",
        store_path: str | PathLike[str] | None = None,
    ) -> None:
        _load()
        store = store_file(share, application, store_path)
        # Default ttl above the bound would make every check wrong: the bound is what the user meant.
        self._native = _core.Engine(default_timeout, min(default_ttl, max_stale), max_stale, store)
        self._callables: dict[str, int] = {}
        # The callables that the engine itself may begin, without anybody who asks from Python.
        self._unasked: list[dict[str, int]] = []
        self._publisher: dict[str, int] = {}
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
        identity: str | None = None,
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
            identity: of a callable, what tells it from others under this name in processes that share: any text that is
                the same in all of them. None: the place where it was written, not what it closes over.

        Raises:
            ValueError: anything of this is wrong; the message names the key and what would be right.
        """
        if not isinstance(critical, bool):  # any string would count as true, "no" too
            raise ValueError(f"{name}: critical must be True or False, not a {type(critical).__name__}")
        options = {
            "critical": critical,
            "timeout": timeout,
            "ttl": ttl,
            "breaker": plain_spec(breaker),
            "depends_on": list_of_names("depends_on", depends_on),
            "failures_before_error": failures_before_error,
            "successes_before_healthy": successes_before_healthy,
        }
        spec = plain_spec(check)
        if isinstance(spec, dict):
            self._native.register_spec(name, spec, options)
            hide_secrets(spec)
        elif callable(check):
            callable_id = _core.new_callable_id()
            self._native.register_callable(name, callable_id, identity or callables.identity(check), options)
            callables.remember(callable_id, check)
            self._callables[name] = callable_id
            self._start_threads(())
        else:
            raise not_a_check(name, check)

    def replace(self, name: str, check: Spec | Mapping[str, Any] | Callable[[], Any]) -> None:
        """Runs another check under a name that is registered, from the next run on.

        How it is run, its circuit breaker and what is known of it stay; only that its last result is fresh no more. So
        thresholds can change while the engine runs.

        Raises:
            UnknownCheckError: the name is not registered.
            ValueError: the check is wrong; the present one stays.
        """
        spec = plain_spec(check)
        if isinstance(spec, dict):
            self._native.replace_spec(name, spec)
            hide_secrets(spec)
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
            self._start_threads(())
        else:
            raise not_a_check(name, check)

    def limit(self, *, response_time: float | None = None, error_rate: float | None = None) -> None:
        """Sets what makes any healthy check degraded, never an error, from its next run on; None: no limit.

        Args:
            response_time: seconds that a run may take (the first one of a process, which connects, is exempt).
            error_rate: percent of the check's runs that may be errors, of those in the last 15 minutes since there is
                this limit, once they are 20.

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

    def start_background(self, *, critical_max_age: float | None = None) -> None:
        """Renews results shortly before they expire, so that nobody who asks waits for a dependency.

        State changes of circuit breakers reach the log and subscribers within a second, also if nobody asks for a run.
        Also looks whether the interpreter runs; with ``share="host"`` other processes, and ``python -m lifesigns
        probe``, see whether this one is alive and ready.

        Goes on as long as this engine does; in a forked child it starts again with the first run there. Serving probes
        starts it, too.

        Args:
            critical_max_age: seconds; renew the results of critical checks before they are that old, where their own
                ttl is longer.
        """
        stop_at_exit()
        if not self._publisher:
            publisher = _core.new_callable_id()
            callables.remember(publisher, _publishing(weakref.ref(self)))
            self._publisher["publisher"] = publisher
            weakref.finalize(self, callables.forget, self._publisher).atexit = False
            self._begin_unasked(self._publisher)
            self._begin_unasked(self._callables)
        self._native.start_background(critical_max_age, self._publisher["publisher"])

    def _begin_unasked(self, ids: dict[str, int]) -> None:
        """From now on the engine may begin these callables by itself."""
        self._unasked.append(ids)
        self._start_threads(())

    def serve(self, address: str, **options: Any) -> ProbeServer:
        """Answers probes about these checks at `address`: see `lifesigns.serve`."""
        from lifesigns.serving import serve

        return serve(address, self, **options)

    def resume(self) -> None:
        """Starts again what a fork ended, such as a probe server. Every run does so, too; this is for a fork hook."""
        self._start_threads(())
        self._native.resume()

    def note(self, name: str, at: float, *, gap: float = 0.0) -> bool:
        """Notes that the caller keeps the result of a check in a history; false if another process does so already.

        So of all that share what they know one keeps each result. A process has to know itself what it keeps.

        Args:
            name: of the check; it need not be registered here.
            at: when the result was found, in seconds since 1970.
            gap: seconds; false also if one that was found so close to it is kept.
        """
        return self._native.note(name, at, gap)

    def subscribe(self, subscriber: Callable[[BreakerEvent], object]) -> None:
        """Calls `subscriber` with each state change of a circuit breaker, from the thread whose sweep comes across it.

        Once `start_background` was called it may be a thread of the engine's own instead. Each change is also logged,
        to the logger ``lifesigns``.
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
        details: bool = True,
    ) -> Report:
        """Runs what is not fresh, all at once, and reports.

        Args:
            names: the checks to report on; all, if None.
            critical_only: of these only the critical ones.
            refresh: run also what is fresh. Joins a run that is under way already.
            deadline: seconds after which to report what is known by then: the last result where it is younger than
                ``max_stale``, else an error marked ``pending``. The runs go on for whoever asks next.
            max_age: seconds; take a fresh result only if it is not older.
            details: without them only how each check is, not why: what anybody may see.

        Raises:
            UnknownCheckError: a name is not registered.
        """
        sweep = self.sweep(names, critical_only=critical_only, refresh=refresh, deadline=deadline, max_age=max_age)
        return sweep.report(details)

    def sweep(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
    ) -> _core.Sweep:
        """`run` for those who want to know the status first, or the report as JSON: what came of the sweep."""
        sweep = self._native.run(self._chosen(names), critical_only, refresh, max_age, deadline)
        self._publish(sweep)
        return sweep

    def check(
        self,
        name: str,
        *,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        details: bool = True,
    ) -> Result:
        """Runs one check, as `run` does, and gives its result."""
        sweep = self._native.run(self._chosen((name,)), False, refresh, max_age, deadline)
        self._publish(None)
        return sweep.result(details)

    async def arun(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        details: bool = True,
    ) -> Report:
        """`run` for async code: holds up neither the event loop nor a thread of its executor."""
        sweep = await self._abegin(names, critical_only, refresh, max_age, deadline)
        self._publish(sweep)
        return sweep.report(details)

    async def acheck(
        self,
        name: str,
        *,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        details: bool = True,
    ) -> Result:
        """`check` for async code."""
        sweep = await self._abegin((name,), False, refresh, max_age, deadline)
        self._publish(None)
        return sweep.result(details)

    def _chosen(self, names: Iterable[str] | None) -> list[str] | None:
        """These names, or None for all; there are threads for their callables then."""
        chosen = None if names is None else list_of_names("names", names)
        if self._callables or self._unasked:
            self._start_threads(self._callables if chosen is None else chosen)
        return chosen

    def _start_threads(self, names: Iterable[str]) -> None:
        """Sees to it that there are threads for the callables of these names, and for those that may begin any time."""
        ids = [callable_id for callable_id in map(self._callables.get, names) if callable_id]
        for unasked in self._unasked:
            ids += unasked.values()
        if ids:
            callables.start_threads(ids)

    async def _abegin(
        self,
        names: Iterable[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        deadline: float | None,
    ) -> _core.Sweep:
        from lifesigns import aio  # here, since asyncio takes longer to import than the rest together

        chosen = self._chosen(names)
        return await aio.finish(
            lambda waker, token: self._native.begin(chosen, critical_only, refresh, max_age, waker, token), deadline
        )

    def _publish(self, sweep: _core.Sweep | None) -> None:
        if news := self._native.take_news():
            from lifesigns.events import log, publish

            events, notices = news
            publish(events, tuple(self._subscribers), sweep and sweep.correlation_id)
            log(notices)


def _load() -> None:
    """Imports what runs need, which `import lifesigns` leaves out to be quick.

    Not in a run: the child of a fork that another thread makes at that moment waits for ever for the import's lock.
    """
    from lifesigns import events, lanes  # noqa: F401


def _publishing(engine: weakref.ref[Engine]) -> Callable[[], None]:
    """What tells the log and subscribers of an engine what has happened; it does not keep the engine."""

    def publish_news() -> None:
        found = engine()
        if found is not None:
            found._publish(None)

    return publish_news
