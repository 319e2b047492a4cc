"""The managers of the replaced application: mappings of checks that an engine runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from django.utils import timezone

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.health_checks.background_tasks import (
    check_failed_tasks,
    check_pending_tasks,
    check_task_queue,
    check_task_workers,
)
from django_lifesigns.health_checks.cache import check_default_cache, check_redis_connectivity, check_select2_cache
from django_lifesigns.health_checks.channels import check_channel_layer
from django_lifesigns.health_checks.database import (
    check_connection_pool,
    check_custom_postgresql_functions,
    check_database_connectivity,
    check_database_performance,
    check_postgis_extension,
)
from django_lifesigns.health_checks.external_apis import (
    check_anthropic_api,
    check_aws_ses,
    check_google_maps_api,
    check_openai_api,
)
from django_lifesigns.health_checks.filesystem import check_directory_permissions
from django_lifesigns.health_checks.mqtt import check_mqtt_broker
from django_lifesigns.health_checks.system import check_cpu_load, check_disk_space, check_memory_usage
from django_lifesigns.health_checks.utils import format_check_result
from django_lifesigns.runtime import engine as project
from django_lifesigns.settings.conf import read
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import Engine
from lifesigns.checks import redeclare
from lifesigns.plain import TooLargeError, plain
from lifesigns.results import Result

FUNCTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "database_connectivity": check_database_connectivity,
    "postgis_extension": check_postgis_extension,
    "postgresql_functions": check_custom_postgresql_functions,
    "redis_connectivity": check_redis_connectivity,
    "default_cache": check_default_cache,
    "task_queue": check_task_queue,
    "disk_space": check_disk_space,
    "directory_permissions": check_directory_permissions,
    "database_performance": check_database_performance,
    "connection_pool": check_connection_pool,
    "select2_cache": check_select2_cache,
    "memory_usage": check_memory_usage,
    "cpu_load": check_cpu_load,
    "channel_layer": check_channel_layer,
    "mqtt_broker": check_mqtt_broker,
    "aws_ses": check_aws_ses,
    "google_maps_api": check_google_maps_api,
    "openai_api": check_openai_api,
    "anthropic_api": check_anthropic_api,
    "pending_tasks": check_pending_tasks,
    "failed_tasks": check_failed_tasks,
    "task_workers": check_task_workers,
}
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

    refresh = True

    def __init__(self) -> None:
        self.checks: dict[str, dict[str, Any]] = {}
        self.start_time = time.time()
        self._more: dict[str, Mapping[str, Any]] = {}
        self._built: tuple[Engine, dict[str, tuple[Any, bool]]] | None = None

    def register_check(self, name: str, check_func: Callable[[], Any], critical: bool = True) -> None:
        """Adds a check, or puts it in place of one of the same name. ValueError if an argument is wrong."""
        Engine().register(name, check_func, critical=critical)
        self.checks[name] = {"func": check_func, "critical": critical, "last_run": None, "last_result": None}

    def run_check(self, name: str) -> dict[str, Any]:
        """The result of one check; an error that names those there are, if there is no such one."""
        if name not in self.checks:
            known = ", ".join(self.checks) or "none"
            result = format_check_result("error", f"Unknown check {name[:100]!r}; known: {known}")
            return {**result, "error_type": "UnknownCheckError"}
        engine, names = self._engine()
        if name not in names:
            return dict(self.checks[name]["func"]())
        return self._remember(name, engine.check(names[name], refresh=self.refresh))

    def run_all_checks(self, parallel: bool = True) -> dict[str, Any]:
        """The report on all checks, run at once or, unless `parallel`, one by one in the order of registration."""
        engine, names = self._engine()
        one_by_one: Mapping[str, Result] = {}
        if not parallel:
            one_by_one = {shown: engine.check(shown, refresh=self.refresh) for shown in names.values()}
        report = engine.run(list(names.values()), refresh=self.refresh and parallel)
        results = {**report["checks"], **one_by_one}
        return {**report, "checks": {name: self._remember(name, results[shown]) for name, shown in names.items()}}

    def _remember(self, name: str, result: Result) -> dict[str, Any]:
        # What else the function returned, such as the `cached` of one that is cached.
        more = {key: value for key, value in self._more.get(name, {}).items() if key not in result or key == "cached"}
        self.checks[name] |= {"last_run": timezone.now(), "last_result": {**result, **more}}
        return dict(self.checks[name]["last_result"])

    def _engine(self) -> tuple[Engine, dict[str, str]]:
        """The engine, and the names by which it knows the checks."""
        wanted = {name: (entry["func"], entry["critical"]) for name, entry in self.checks.items()}
        if self._built is None or self._built[1] != wanted:
            engine = Engine(read().default_timeout, KEPT, max_stale=KEPT)
            for name, (function, critical) in wanted.items():
                check = returning_connections(partial(self._run, name, function))
                engine.register(name, check, critical=critical, timeout=_timeout(function))
            self._built = engine, wanted
        return self._built[0], {name: name for name in wanted}

    def _run(self, name: str, function: Callable[[], Any]) -> Any:
        self._more.pop(name, None)
        returned = function()
        if isinstance(returned, Mapping):
            with suppress(TooLargeError):  # the engine says so
                self._more[name] = plain(returned)
        return returned


class ProjectManager(HealthCheckManager):
    """The checks of the project's engine: those that are registered here stand in `/health/`, too.

    They are run as the engine runs them, with its cache.
    """

    refresh = False

    def register_check(self, name: str, check_func: Callable[[], Any], critical: bool = True) -> None:
        super().register_check(name, check_func, critical)
        if check_func is not FUNCTIONS.get(name):
            redeclare(name, check_func, {"critical": critical, "timeout": _timeout(check_func)})
            project.reset()

    def _engine(self) -> tuple[Engine, dict[str, str]]:
        built = project.on_request()
        return built.engine, {name: built.names[name] for name in self.checks if name in built.names}


global_health_manager = ProjectManager()


def register_all_checks() -> None:
    """Registers the 22 checks with `global_health_manager`."""
    for name, defaults in CATALOGUE.items():
        global_health_manager.register_check(name, FUNCTIONS[name], critical=defaults.critical)


def _timeout(function: Callable[[], Any]) -> float | None:
    seconds = TIMEOUTS.get(function) or getattr(function, "timeout_seconds", None)
    return None if seconds is None else seconds + GRACE
