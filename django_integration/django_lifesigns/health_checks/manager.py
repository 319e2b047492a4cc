"""The managers of the replaced application: mappings of checks that an engine runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from django.utils import timezone

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.health_checks.functions import FUNCTIONS
from django_lifesigns.health_checks.result import as_before, result_of
from django_lifesigns.health_checks.statuses import tolerant, with_known_status
from django_lifesigns.health_checks.utils import format_check_result
from django_lifesigns.runtime import engine as project
from django_lifesigns.settings.conf import read
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import Engine
from lifesigns import checks as registry
from lifesigns.plain import TooLargeError, plain
from lifesigns.results import Result
from lifesigns.weak import weakly

TIMEOUTS = {FUNCTIONS[name]: defaults.timeout for name, defaults in CATALOGUE.items()}
# What a check with a timeout of its own is given beyond it, so that it is the one that speaks.
GRACE = 0.5
# Results are only kept to be reported on: each run of a manager runs its checks.
KEPT = 3600.0


class HealthCheckManager:
    """Checks by name, run together by an engine of their own.

    `checks` holds for each its `func`, whether it is `critical`, its `last_run` and its `last_result`, and what is
    changed there holds from the next run on.
    """

    # Whether `run_all_checks` runs also what is fresh; `run_check` always does.
    refresh = True

    def __init__(self) -> None:
        self.checks: dict[str, dict[str, Any]] = {}
        self.start_time = time.time()
        self._more: dict[str, Mapping[str, Any]] = {}
        self._built: tuple[Engine, dict[str, tuple[Any, bool]]] | None = None

    def register_check(self, name: str, check_func: Callable[[], Any], critical: bool = True) -> None:
        """Add a check, or put it in place of one of the same name. ValueError if an argument is wrong."""
        Engine().register(name, check_func, critical=critical)
        self._add(name, check_func, critical)

    def run_check(self, name: str) -> dict[str, Any]:
        """Run one check and return its result; an error that names those there are, if there is no such one."""
        engine, names = self._engine()
        if name not in self.checks:
            known = ", ".join(self.checks) or "none"
            result = format_check_result("error", f"Unknown check {name[:100]!r}; known: {known}")
            return {**result, "error_type": "UnknownCheckError"}
        if name not in names:
            return dict(self.checks[name]["func"]())
        return self._remember(name, engine.check(names[name], refresh=True))

    def run_all_checks(self, parallel: bool = True) -> dict[str, Any]:
        """Return the report on all checks, run at once or, unless `parallel`, one by one in order of registration."""
        return self._report(parallel)

    def _report(self, parallel: bool = True, *, critical_only: bool = False) -> dict[str, Any]:
        engine, names = self._engine()
        one_by_one: Mapping[str, Result] = {}
        if not parallel:
            one_by_one = {shown: engine.check(shown, refresh=self.refresh) for shown in names.values()}
        report = engine.run(list(names.values()), critical_only=critical_only, refresh=self.refresh and parallel)
        results = {**report["checks"], **one_by_one}
        found = {shown: self._remember(name, results[shown]) for name, shown in names.items() if shown in results}
        return {**report, "uptime_seconds": round(time.time() - self.start_time, 2), "checks": found}

    def _add(self, name: str, check_func: Callable[[], Any], critical: bool) -> None:
        self.checks[name] = {"func": check_func, "critical": critical, "last_run": None, "last_result": None}

    def _remember(self, name: str, result: Result) -> dict[str, Any]:
        # What else the function returned, such as the `cached` of one that is cached.
        more = {key: value for key, value in self._more.get(name, {}).items() if key not in result or key == "cached"}
        shown = as_before(result) if "error_type" in result or name in CATALOGUE else result
        self.checks[name] |= {"last_run": timezone.now(), "last_result": {**shown, **more}}
        return dict(self.checks[name]["last_result"])

    def _engine(self) -> tuple[Engine, dict[str, str]]:
        """Return the engine, and the names by which it knows the checks."""
        wanted = {name: (entry["func"], entry["critical"]) for name, entry in self.checks.items()}
        if self._built is None or self._built[1] != wanted:
            engine = Engine(read().default_timeout, KEPT, max_stale=KEPT)
            for name, (function, critical) in wanted.items():
                check = returning_connections(partial(weakly(self._run), name, function))
                engine.register(name, check, critical=critical, timeout=_timeout(function))
            self._built = engine, wanted
        return self._built[0], {name: name for name in wanted}

    def _run(self, name: str, function: Callable[[], Any]) -> Any:
        self._more.pop(name, None)
        returned = with_known_status(function())
        if isinstance(returned, Mapping):
            with suppress(TooLargeError):  # the engine says so
                self._more[name] = plain(returned)
        return returned


class ProjectManager(HealthCheckManager):
    """The checks of the project's engine: those that are registered here stand in `/health/`, too.

    `run_all_checks` runs them as the engine does, with its cache, and reports them by the names of `/health/`.
    """

    refresh = False

    def __init__(self) -> None:
        super().__init__()
        self._runtime: project.Runtime | None = None
        # What `checks` has had: what is deleted there stays out.
        self._seen: set[str] = set()

    def register_check(self, name: str, check_func: Callable[[], Any], critical: bool = True) -> None:
        """Add a check, or put it in place of one of the same name. ValueError if an argument is wrong."""
        if check_func is FUNCTIONS.get(name):
            is_default = critical == CATALOGUE[name].critical
            declared = None if is_default else registry.DeclaredCheck(None, {"critical": critical})
            if registry.DECLARED.pop(name, None) or declared:
                project.reset()
            if declared:
                registry.DECLARED[name] = declared
            self._add(name, check_func, critical)
            return
        super().register_check(name, check_func, critical)
        if name in CATALOGUE or name in registry.DECLARED:
            project.reset()  # it is another check from now on; a new name is added to the engine there is
        registry.redeclare(name, tolerant(check_func), {"critical": critical, "timeout": _timeout(check_func)})

    def run_critical_checks(self) -> dict[str, Any]:
        """Return the report on the critical checks."""
        return self._report(critical_only=True)

    def _add(self, name: str, check_func: Callable[[], Any], critical: bool) -> None:
        self._seen.add(name)
        super()._add(name, check_func, critical)

    def _engine(self) -> tuple[Engine, dict[str, str]]:
        runtime = project.on_request()
        if runtime is not self._runtime:
            self._runtime = runtime
            for name in runtime.names:
                if name not in self._seen:
                    self._add(name, partial(result_of, name), True)
                if name in self.checks:
                    self.checks[name]["critical"] = name in runtime.critical
        return runtime.engine, {name: runtime.names[name] for name in self.checks if name in runtime.names}


global_health_manager = ProjectManager()


def register_all_checks() -> None:
    """Register the 22 checks with `global_health_manager`, as importing this package does."""
    for name, defaults in CATALOGUE.items():
        global_health_manager.register_check(name, FUNCTIONS[name], critical=defaults.critical)


def _timeout(function: Callable[[], Any]) -> float | None:
    seconds = TIMEOUTS.get(function) or getattr(function, "timeout_seconds", None)
    return None if seconds is None else seconds + GRACE


register_all_checks()
