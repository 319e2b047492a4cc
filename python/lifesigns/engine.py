"""The public face of the engine: runs registered checks and returns their results as dicts."""

from __future__ import annotations

import sys
import weakref
from time import monotonic

from lifesigns import _core, callables
from lifesigns.acting import Acting
from lifesigns.alerting import Alerting
from lifesigns.publisher import Publisher
from lifesigns.registry import Registry
from lifesigns.wedge import stop_at_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike
    from typing import Any, Literal

    from lifesigns.events import Event
    from lifesigns.probe_server import ProbeServer
    from lifesigns.results import CheckCounters, CheckInfo, FleetView, Objective, ProcessInfo, Report, Result

_modules = sys.modules


class Engine(Registry, Alerting, Acting):
    """A set of checks that are run together, and their latest results.

    Cheap to make: threads, connections and the store start with the first run. Safe to use from any thread, from async
    code and after a fork.

    Args:
        default_timeout: seconds that a check may take, where it names no timeout of its own.
        default_ttl: seconds for which a result is fresh, where the check names no ttl of its own.
        max_stale: seconds after which a result is not shown any more in place of one that is still awaited.
        share: ``"process"``: each process checks for itself. ``"host"``: all processes of this user on this host (or
            in this pod) that name the same ``application`` and ``store_path`` share their results: one runs a check
            for all, circuit breakers and their forced states are one, and counts survive each of them. A store that
            cannot be used is logged, and each process checks for itself until it can. ``"fleet"``: so do the processes
            of each host, and all hosts that name the same Redis and application share the results of checks whose
            answer is the same from everywhere: see `scope` of `register`.
        application: letters, digits, ``_``, ``-`` and ``.``; keeps applications apart that use one directory. None: a
            name derived from the script; under an installed server (gunicorn, uvicorn, Celery ...) from the file that
            makes this engine, so that all servers of a project share. Name it where containers with the same paths
            share memory. Native checks that differ in what they check or in an option are kept apart anyhow, callables
            by where they were written: see `identity` of `register`.
        store_path: the directory of the store; made if it is not there, refused if it belongs to another user, is a
            symbolic link, can be written to by others, or is on a network file system or FUSE. None: one for each user
            in ``/dev/shm``, or in the directory for temporary files where there is none.
        fleet: with ``share="fleet"`` where the hosts meet: a dict with ``url`` (``redis://`` or ``rediss://``, Redis or
            Valkey), ``name`` (what the hosts have in common; None: `application`), ``zone`` (of this host; None:
            ``LIFESIGNS_ZONE`` in the environment), ``instance`` (how this host is called; None: its host name), and the
            other fields of `lifesigns.specs.Redis`, such as ``sentinels`` or ``cluster``. A Redis that cannot be used
            is logged, and each host checks for itself until it can, so seldom that all together check as often as one.
        log: log changes of state, and the tracebacks of callables. False: subscribers alone receive the changes.
        alerts: open incidents of checks that fail, and send notices of them to channels, from the first run on: a dict
            with any of the keys ``CHANNELS``, ``ROUTES``, ``FAILURES``, ``SUCCESSES``, ``SECONDS``, ``REMINDER``,
            ``MAINTENANCE``, ``PING_URL``, ``URL``, ``APPLICATION``, ``WEDGED_AFTER``, ``TIMEOUT``, ``RETRIES``: see the
            guide to alerts. With ``share="host"`` there is one incident for all processes.
        actions: act on checks that fail, from the first run on: a dict of actions by name, each with ``action`` (a
            callable, or ``close_stale_connections``, ``reload_gunicorn``, ``reset_breaker``, ``restart_wedged_worker``,
            ``run_command``) and any of the keys ``arguments``, ``when``, ``limit``, ``cooldown``, ``verify``,
            ``timeout``, ``scope``, ``then``, ``dry_run``: see the guide to self-healing. Unless ``dry_run`` is False an
            action only says what it would have done. With ``share="host"`` one of all processes acts, with
            ``share="fleet"`` and the ``scope`` "fleet" one of all hosts.

    Raises:
        ValueError: an argument is wrong.
    """

    def __init__(
        self,
        default_timeout: float = 5.0,
        default_ttl: float = 30.0,
        *,
        max_stale: float = 60.0,
        share: Literal["process", "host", "fleet"] = "process",
        application: str | None = None,
        store_path: str | PathLike[str] | None = None,
        fleet: Mapping[str, Any] | None = None,
        log: bool = True,
        alerts: Mapping[str, Any] | None = None,
        actions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            default_timeout,
            default_ttl,
            max_stale=max_stale,
            share=share,
            application=application,
            store_path=store_path,
            fleet=fleet,
            log=log,
        )
        self._publisher = Publisher(self._native, log)
        # The number of the callable that fetches results, once there is one.
        self._recording_id: int | None = None
        # With which what `set_objectives` takes next is handed to all hosts.
        self._objectives_fence = 0
        if alerts is not None:
            self._start_alerts(alerts)
        if actions is not None:
            self._start_actions(actions, share)

    def start_background(self, *, critical_max_age: float | None = None, as_member: bool = True) -> None:
        """Renew results shortly before they expire, so that no caller waits for a dependency.

        State changes of circuit breakers reach the log and subscribers within a second, also while nothing requests a
        run. It also watches whether the interpreter runs; with ``share="host"`` other processes, and ``python -m
        lifesigns probe``, see whether this one is alive and ready.

        It continues for the life of this engine; in a forked child it starts again with the first run there, or
        when this is called there. Serving probes starts it, too.

        Args:
            critical_max_age: seconds; renew the results of critical checks before they are that old, where their own
                ttl is longer.
            as_member: show other processes that this one is alive, and whether this engine is ready. False for an
                engine beside the one that serves: a process has one status.
        """
        stop_at_exit()
        if self._publisher.start():
            self._callables.add_background(self._publisher.ids)
            self._callables.add_background(self._callables.ids)
        # A fork has ended them.
        self._callables.start_threads(())
        self._native.start_background(critical_max_age, self._publisher.ids["publisher"], as_member)

    def serve(self, address: str, **options: Any) -> ProbeServer:
        """Answer probes about these checks at `address`: see `lifesigns.serve`."""
        from lifesigns.probe_server import ServeOptions, start_server

        return start_server(self, address, ServeOptions(**options))

    def resume(self) -> None:
        """Start again what a fork ended, such as a probe server.

        Every run does so, too, but for the probe servers of a child that `multiprocessing` has forked: such a child is
        a helper, and serves probes only after this or `serve`. For a fork hook.
        """
        self._callables.start_threads(())
        self._native.resume()

    def claim_record(self, name: str, at: float, *, gap: float = 0.0) -> bool:
        """Acquire the recording of one result for this process; False if another process has acquired it already.

        So of all processes that share results one records each. A process has to know itself what it has recorded.

        Args:
            name: of the check; it need not be registered here.
            at: when the result was found, in seconds since 1970.
            gap: seconds; False also if a result that was found so close to this one is recorded.
        """
        return self._native.note(name, at, gap)

    def watch_claims(self, name: str, function: Callable[[], object], *, gap: float) -> None:
        """Call `function` once no process that shares results has claimed `name` for `gap` seconds, until one does.

        So what one process does regularly, for all, is continued by another one at once when it ends. A thread of the
        engine's calls it, about once a second, while `start_background` runs. One name at a time can be watched.
        """
        self._native.watch_claims(name, gap, self._in_background(name, function))

    def watch_result(self, name: str, function: Callable[[], object]) -> None:
        """Call `function` once the result of a check differs from the last one in its status or details.

        So what one process has found is followed by all that share results. A thread of the engine's calls it within a
        second or two of when the result is to be renewed, while `start_background` runs, and again where it raises.
        One check at a time can be watched.

        Raises:
            UnknownCheckError: the check is not registered.
        """
        self._native.watch_result(name, self._in_background(name, function))

    def start_recording(self, name: str, function: Callable[[], object], *, pause: float, every: float) -> None:
        """Gather results for a history, of all processes that share results, until another one claims `name`.

        The results of this process are gathered as they are found, those of others every `pause` seconds, with another
        claim of `name`. A thread of the engine's calls `function`, which is to call `take_results`: at once, every
        `every` seconds, sooner where many results wait, every `pause` seconds while this process drains, and for the
        last time once another process has claimed `name`.
        """
        if self._recording_id is None:
            self._recording_id = self._in_background(name, function)
        else:
            callables.remember(self._recording_id, function, "")
        _core.start_recording(self._native, name, self._recording_id, pause, every)

    def is_recording(self) -> bool:
        """Return whether this process gathers results for a history."""
        return _core.is_recording(self._native)

    def take_results(self, *, read: bool = False) -> list[tuple[str, Result, bool]]:
        """Return the results that were gathered since the last call, oldest first. Runs nothing.

        Each is the check, its result, and whether that is claimed for this process: no other one will return it, nor
        may record it by `claim_record`. No result is claimed where nothing is shared. At most 10,000 wait; older ones
        are dropped, and that is logged.

        Args:
            read: also return the latest result of each check that no process has claimed, whether this one gathers or
                not: before it ends.
        """
        return _core.take_results(self._native, read)

    def has_started(self, passing: bool) -> bool:
        """Return whether the critical checks have passed once, here or in a process that shares and is still there.

        So all workers of a host say the same, and start again only when all of them have ended.

        Args:
            passing: whether they pass now, as ``run(critical_only=True)`` has found.
        """
        return self._native.has_started(passing)

    def counters(self) -> dict[str, CheckCounters]:
        """Return what was counted of each check since its first run, by name, parents first. Runs nothing.

        With ``share="host"`` of all processes together. A history in time is made of the differences.
        """
        return _core.check_counters(self._native)

    def known(self) -> Report:
        """Return the report on what is known of all checks now. Runs nothing.

        What has not run yet, or whose last result is stale, is an error marked ``pending``.
        """
        return _core.known(self._native)

    def infos(self) -> dict[str, CheckInfo]:
        """Return how each check is registered, by name, parents first, and the state of its circuit breaker."""
        return _core.check_infos(self._native)

    def processes(self) -> list[ProcessInfo]:
        """Return the processes that share what they know with this one, itself first.

        These are those in which `start_background` was called. With ``share="process"`` it is this one alone.
        """
        return _core.processes(self._native)

    def fleet(self) -> FleetView | None:
        """Return what all instances of the fleet say of themselves and of their checks; None without a fleet.

        An instance is a host, or a pod, in which `start_background` was called. It asks the fleet's Redis, for 2 s at
        most; where that cannot be reached, ``visible`` is False and no instance is known, rather than missed.
        """
        return _core.fleet_view(self._native)

    def set_objectives(self, objectives: Mapping[str, Objective]) -> None:
        """Replace what is known of objectives, by check: in all processes that share with this one.

        The metrics show it, and an ``alarm`` is an incident of ``objective:<check>`` until there is none any more. It
        is known for 5 minutes: call it about once a minute, from one of them. With ``share="fleet"`` it is known on all
        hosts, where `awaits_objectives` was called before.

        Raises:
            ValueError: a key is wrong or missing.
        """
        fence, self._objectives_fence = self._objectives_fence, 0
        _core.set_objectives(self._native, objectives, fence)

    def awaits_objectives(self) -> bool:
        """Return whether this process is to work out objectives now, for `set_objectives`.

        With ``share="fleet"`` one host does about once a minute: where another one has, what it has found is known here
        from now on. It asks the fleet's Redis, for 3 s at most; while that cannot be reached each host is on its own.
        """
        fence = _core.objectives_turn(self._native)
        self._objectives_fence = fence or 0
        return fence is not None

    def subscribe(self, subscriber: Callable[[Event], object]) -> None:
        """Call `subscriber` with each event, from the thread whose run fetched it.

        Events are `StatusEvent`, `BreakerEvent`, `ReadinessEvent`, `IncidentEvent` and `DrainingEvent`: each change
        once per scope, in the process that found it. Once `start_background` was called it may be a thread of the
        engine's own instead. Each change is also logged, to ``lifesigns.checks``, ``lifesigns.breakers``,
        ``lifesigns.readiness`` and ``lifesigns.incidents``.
        """
        self._publisher.subscribers.append(subscriber)

    def run(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        group: str | None = None,
        details: bool = True,
    ) -> Report:
        """Run what is not fresh, all at once, and return the report.

        Where the engine's threads cannot be started, since the limit of threads is reached, nothing is run: the last
        results stand until they are stale, that is logged once, and the next run tries again.

        Args:
            names: the checks to report on; all, if None.
            critical_only: of these only the critical ones.
            group: report on the checks of this group, by its own criticality, in place of `names`: see `add_group`.
            refresh: run also what is fresh. An in-flight run is awaited, not repeated.
            deadline: seconds after which to report what is known by then: the last result where it is younger than
                ``max_stale``, else an error marked ``pending``. The runs continue for the next caller.
            max_age: seconds; take a fresh result only if it is not older. Of a group: for what is critical there.
            details: without them only statuses, not the reasons: what anonymous callers may see.

        Raises:
            UnknownCheckError: a name, or the group, is not registered.
            ValueError: both names and a group are given.
        """
        sweep = self.sweep(
            names, critical_only=critical_only, refresh=refresh, deadline=deadline, max_age=max_age, group=group
        )
        return sweep.report(details)

    def sweep(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        group: str | None = None,
    ) -> _core.Sweep:
        """`run` for callers that want the status first, or the report as JSON: returns the sweep."""
        started = monotonic()
        sweep = self._run(self._selected(names, group), critical_only, refresh, max_age, group, deadline)
        self._publisher.publish_after(sweep, deadline, started)
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
        """Run one check, as `run` does, and return its result."""
        started = monotonic()
        sweep = self._run(self._selected((name,)), False, refresh, max_age, None, deadline)
        self._publisher.publish_after(None, deadline, started)
        return sweep.result(details)

    async def arun(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        group: str | None = None,
        details: bool = True,
    ) -> Report:
        """`run` for async code: blocks neither the event loop nor a thread of its executor."""
        sweep = await self.asweep(
            names, critical_only=critical_only, refresh=refresh, deadline=deadline, max_age=max_age, group=group
        )
        return sweep.report(details)

    async def asweep(
        self,
        names: Iterable[str] | None = None,
        *,
        critical_only: bool = False,
        refresh: bool = False,
        deadline: float | None = None,
        max_age: float | None = None,
        group: str | None = None,
    ) -> _core.Sweep:
        """`sweep` for async code."""
        started = monotonic()
        sweep = await self._arun(names, critical_only, refresh, max_age, group, deadline)
        await self._publisher.apublish_after(sweep, deadline, started)
        return sweep

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
        started = monotonic()
        sweep = await self._arun((name,), False, refresh, max_age, None, deadline)
        await self._publisher.apublish_after(None, deadline, started)
        return sweep.result(details)

    def _in_background(self, name: str, function: Callable[[], object]) -> int:
        """Let the engine call a function by itself from now on, and return its number."""
        number = _core.new_callable_id()
        callables.remember(number, function, "")
        self._callables.add_background({name: number})
        weakref.finalize(self, callables.forget, [number]).atexit = False
        return number

    def _run(
        self,
        selected: list[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        group: str | None,
        deadline: float | None,
    ) -> _core.Sweep:
        if "gevent" in _modules or "eventlet" in _modules:
            from lifesigns import greenlets

            if (waker := greenlets.waker()) is not None:
                return waker.finish(
                    lambda native, token: self._native.start(
                        selected, critical_only, refresh, max_age, group, native, token
                    ),
                    deadline,
                )
        return self._native.run(selected, critical_only, refresh, max_age, group, deadline)

    async def _arun(
        self,
        names: Iterable[str] | None,
        critical_only: bool,
        refresh: bool,
        max_age: float | None,
        group: str | None,
        deadline: float | None,
    ) -> _core.Sweep:
        from lifesigns import aio  # here, since asyncio takes longer to import than the rest together

        selected = self._selected(names, group)
        return await aio.finish(
            lambda waker, token: self._native.start(selected, critical_only, refresh, max_age, group, waker, token),
            deadline,
        )
