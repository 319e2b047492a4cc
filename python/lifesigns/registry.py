"""Registered checks of an engine: how they are added, replaced and limited."""

from __future__ import annotations

import os
from functools import partial

from lifesigns import _core, callables
from lifesigns.arguments import (
    hide_secrets,
    list_of_names,
    not_a_check,
    plain_spec,
    refuse_arguments,
    refuse_scope,
    register_options,
    store_file,
)
from lifesigns.callable_set import CallableSet
from lifesigns.fleet import fleet_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike
    from typing import Any, Literal

    from lifesigns.specs import Breaker, Spec


class Registry:
    """The checks of an engine."""

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
    ) -> None:
        _load()
        self._log = log
        store = store_file(share, application, store_path)
        # Whose probe servers may share an address; None where it has no name.
        self._application = application or (store and os.path.basename(store).removesuffix(_core.STORE_SUFFIX))
        # As they were registered or replaced.
        self._checks: dict[str, Spec | Mapping[str, Any] | Callable[[], Any]] = {}
        self._ttls: dict[str, float] = {}
        self._default_ttl = default_ttl
        self._native = _core.Engine(
            default_timeout, default_ttl, max_stale, store, fleet_arguments(share, application, fleet)
        )
        self._callables = CallableSet(log)
        # The actions of the fleet, by the check that each is about.
        self._fleet_actions: Mapping[str, str] = {}

    def register(
        self,
        name: str,
        check: Spec | Mapping[str, Any] | Callable[[], Any],
        *,
        critical: bool = True,
        scope: Literal["process", "host", "fleet"] | None = None,
        timeout: float | None = None,
        ttl: float | None = None,
        ready_max_age: float | None = None,
        breaker: Breaker | Mapping[str, Any] | None = None,
        depends_on: Iterable[str] = (),
        failures_before_error: int = 1,
        successes_before_healthy: int = 1,
        identity: str | None = None,
        imports: Iterable[str] = (),
        alert: Mapping[str, Any] | None = None,
        runbook: str | None = None,
        server: str | None = None,
    ) -> None:
        """Add a check.

        Args:
            name: letters, digits, ``_``, ``-`` and ``.``; it is part of URLs and metrics.
            check: a spec of `lifesigns.specs`, the same as a dict (``{"kind": "redis", "url": ...}``), or a ``def`` or
                ``async def`` callable that returns a result dict (``status``, ``message``, ``details``), a bool, a
                status or message as str, or None for healthy. It may raise `CheckFailed` or `CheckDegraded` with a
                text to show; of any other exception only the class is shown, and its traceback is logged.
            critical: whether its error makes the service unhealthy.
            scope: who shares its result, where the engine shares as far: ``"process"``, ``"host"`` or ``"fleet"`` (its
                answer is the same from every host). None: ``"fleet"`` for external services, depths of queues and
                statistics of servers, else ``"host"``.
            timeout: seconds after which it is an error, whatever it is stuck in.
            ttl: seconds for which its result is fresh; at most 30 while it is not healthy. A result older than twice
                that, and than the engine's ``max_stale``, is not shown any more.
            ready_max_age: seconds; a caller's ``max_age`` below this counts as this. For checks whose result may be
                older than others on which readiness rests.
            breaker: a circuit breaker around it, as `lifesigns.specs.Breaker` or a dict of its fields.
            depends_on: checks, registered before, whose error makes this one an error without running it.
            failures_before_error: how many errors in a row it takes to show one.
            successes_before_healthy: how many other results in a row it takes to stop showing an error.
            identity: of a callable, what distinguishes it from others of this name in processes that share: any text
                that is the same in all of them. None: the place where it was written, not what it closes over.
            imports: packages that a callable imports only when it runs, such as ``["redis"]``. They are imported now,
                on this thread, so that the first runs, which are parallel, and the application's own imports beside
                them cannot collide.
            alert: when it alerts, where that differs from the engine's ``alerts``: ``failures``, ``successes``,
                ``seconds``, ``reminder`` (seconds), ``severity`` (``warning``, ``error``, ``critical``), ``enabled``.
            runbook: a URL or a text: what to do when it fails. It is part of its alerts.
            server: ``host:port`` of what a callable looks at, for the details of its errors: an exception or a timeout
                does not name it. Credentials are taken out.

        Raises:
            ValueError: an argument is wrong; the message names it and what would be right.
        """
        options = register_options(
            name,
            critical=critical,
            scope=scope,
            timeout=timeout,
            ttl=ttl,
            ready_max_age=ready_max_age,
            breaker=breaker,
            depends_on=depends_on,
            failures_before_error=failures_before_error,
            successes_before_healthy=successes_before_healthy,
            alert=alert,
            runbook=runbook,
            server=server,
        )
        packages = list_of_names("imports", imports)
        spec = plain_spec(check)
        refuse_scope(name, scope or default_scope(spec), self._fleet_actions.get(name))
        if isinstance(spec, dict):
            self._native.register_spec(name, spec, options)
            hide_secrets(spec)
        elif callable(check):
            refuse_arguments(name, check)
            callable_id, identity = _core.new_callable_id(), identity or callables.identity(check)
            accept = partial(self._native.register_callable, name, callable_id, identity, options)
            self._callables.adopt(name, check, callable_id, accept, packages, server)
        else:
            raise not_a_check(name, check)
        self._checks[name] = check
        self._ttls[name] = self._default_ttl if ttl is None else ttl

    def replace(self, name: str, check: Spec | Mapping[str, Any] | Callable[[], Any]) -> None:
        """Run another check under a name that is registered, from the next run on.

        Its options, its circuit breaker and what is known of it stay, but its last result is not fresh any more. So
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
            refuse_arguments(name, check)
            # The number stays: a former callable that still runs is not started a second time beside it.
            callable_id = self._callables.ids.get(name) or _core.new_callable_id()
            self._callables.adopt(name, check, callable_id, partial(self._native.replace_callable, name, callable_id))
        else:
            raise not_a_check(name, check)
        self._checks[name] = check

    def add_group(self, name: str, checks: Iterable[str], *, critical: Iterable[str] | None = None) -> None:
        """Add a group of checks with a criticality of its own, in place of one of the same name.

        `run(group=name)` reports on it, and a probe server at ``/group/<name>``: a web process and a worker can be
        ready by different checks. They need not be registered yet; those that are not are left out.

        Args:
            name: letters, digits, ``_``, ``-`` and ``.``.
            checks: names, or patterns with ``*`` and ``?``.
            critical: which of them make the group unhealthy. None: those that are critical by themselves.

        Raises:
            ValueError: an argument is wrong; the message names it.
        """
        listed = None if critical is None else list_of_names("critical", critical)
        self._native.add_group(name, list_of_names("checks", checks), listed)

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the names of all groups."""
        return tuple(self._native.groups)

    def names_of(self, group: str, *, critical_only: bool = False) -> tuple[str, ...]:
        """Return the names of the checks of a group, or of those that are critical there.

        Raises:
            UnknownCheckError: there is no such group.
        """
        return tuple(self._native.names_of(group, critical_only))

    def limit(self, *, response_time: float | None = None, error_rate: float | None = None) -> None:
        """Set what makes any healthy check degraded, never an error, from its next run on; None: no limit.

        Args:
            response_time: seconds that a run may take (the first one of a process, which connects, is exempt).
            error_rate: percent of the check's runs that may be errors, of those in the last 15 minutes since there is
                this limit, once they are 20.

        Raises:
            ValueError: a value is out of range.
        """
        self._native.limit(response_time, error_rate)

    def register_declared(self) -> None:
        """Add the checks that were declared with `lifesigns.check` in the modules imported so far.

        What is registered under the same name already stays as it is.

        Raises:
            ValueError: one depends on a check that there is not.
        """
        from lifesigns.checks import DECLARED, parents_first

        for name in parents_first(DECLARED):
            check = DECLARED[name].check
            if check is not None and name not in self._native.names:
                self.register(name, check, **DECLARED[name].options)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all checks, in the order of registration."""
        return tuple(self._native.names)

    def breaker(self, name: str) -> _core.Breaker:
        """Return the circuit breaker of a check, to inspect or to force. ValueError if it has none."""
        return self._native.breaker(name)

    def _selected(self, names: Iterable[str] | None, group: str | None = None) -> list[str] | None:
        """Return these names, or None for all or those of a group, with threads started for their callables."""
        selected = None if names is None else list_of_names("names", names)
        if group is not None and selected is not None:
            raise ValueError("names and group exclude each other")
        if self._callables:
            wanted = selected if group is None else self._native.names_of(group)
            self._callables.start_threads(self._callables.ids if wanted is None else wanted)
        return selected


def _load() -> None:
    """Import what runs need, which `import lifesigns` leaves out to be quick.

    Not in a run: the child of a fork that another thread makes meanwhile would wait for the import's lock for ever.
    """
    from lifesigns import answers, events, failures, first_use, threads  # noqa: F401


def default_scope(spec: object) -> str:
    """Return who shares the result of a check that does not say so: a spec as a dict, or a callable."""
    return _core.default_scope(str(spec.get("kind"))) if isinstance(spec, dict) else "host"
