"""The engine of this process, built from the settings when it is first needed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.signals import setting_changed
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_lifesigns.actions.config import engine_actions
from django_lifesigns.alerts.config import engine_alerts
from django_lifesigns.checks.kept_connections import close_kept
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.history import recorder
from django_lifesigns.history.objectives.current import set_targets
from django_lifesigns.history.objectives.targets import read_targets
from django_lifesigns.runtime.groups import add_groups
from django_lifesigns.runtime.imports import import_packages
from django_lifesigns.runtime.registration import register, register_lost, scope_of
from django_lifesigns.runtime.sharing import fleet, scope
from django_lifesigns.runtime.thresholds import ThresholdSync
from django_lifesigns.settings.conf import Conf, read
from django_lifesigns.settings.problems import Problem
from django_lifesigns.settings.project import project_name
from django_lifesigns.settings.secrets import secrets
from django_lifesigns.targets.discovered import DiscoveredCheck, parents_first
from django_lifesigns.targets.discovery import discover, known_checks
from lifesigns import Engine, close_connections, specs
from lifesigns import checks as registry
from lifesigns.redaction import hide
from lifesigns.shutdown import wrap_sigterm

logger = logging.getLogger("django_lifesigns")


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """What the settings lead to; `names` are those of the checks in the report, by those in the settings."""

    conf: Conf
    engine: Engine
    problems: tuple[Problem, ...]
    names: Mapping[str, str]
    thresholds: ThresholdSync
    # The checks that are critical, by their names in the settings.
    critical: frozenset[str]
    # How many checks were declared by then.
    declared: int
    # For how many seconds the shortest-lived results are shown before the background renews them.
    shortest_period: float
    # Whether the engine alerts, the application in the keys of its incidents, and the channels that can be used.
    has_alerts: bool
    alerts_as: str
    channels: tuple[str, ...]
    # Whether the engine acts.
    has_actions: bool
    # The name of the fleet that it is part of.
    fleet: str | None

    @property
    def has_fleet(self) -> bool:
        return self.fleet is not None


def get_engine() -> Engine:
    """Return the engine with all checks of this project; threads and connections start with its first run."""
    return get_runtime().engine


def get_runtime() -> Runtime:
    """Return what the settings as they are now lead to. It is built once, and starts nothing."""
    if "runtime" not in _current:
        runtime = build(read())
        # No lock, which a fork could leave locked for ever: of two threads that built at once, one result is dropped.
        if _current.setdefault("runtime", runtime) is runtime:
            for problem in runtime.problems:
                logger.log(problem.level, "lifesigns.%s: %s", problem.id, problem.text)
    if _declared() != _current["runtime"].declared:
        _current["runtime"] = _with_late_checks(_current["runtime"])
    return _current["runtime"]


def on_request(max_wait: float | None = None) -> Runtime:
    """Return the runtime for a caller that is about to run checks, brought up to date first.

    SIGTERM drains from now on, saved thresholds govern, and history that could not be written is tried again.

    Args:
        max_wait: seconds to wait at most for the saved thresholds; None: a quarter of `READY_BUDGET`. Only the first
            caller of a process waits, and one after a pause of more than 25 s.
    """
    wrap_sigterm()
    runtime = get_runtime()
    runtime.thresholds.sync(runtime.conf.ready_budget / 4 if max_wait is None else max_wait)
    recorder.flush_soon()
    return runtime


async def aon_request() -> Runtime:
    """`on_request` for async code: waits for the saved thresholds without a thread."""
    runtime = on_request(max_wait=0)
    await runtime.thresholds.asettle(runtime.conf.ready_budget / 4)
    return runtime


def build(conf: Conf) -> Runtime:
    """Return an engine with every check; one that is wrong is registered as an error, and the others still run."""
    hide(secrets(), source="Django's settings")
    import_packages()
    shared = scope(conf)
    declared = _declared()
    found, problems = discover(conf)
    scopes = {**dict.fromkeys(known_checks(conf)), **{check.name: scope_of(check) for check in found}}
    alerts, wrong_alerts = engine_alerts(conf, {*scopes}, [*conf.groups])
    actions, wrong_actions = engine_actions(conf, scopes)
    problems += [*wrong_alerts, *wrong_actions]
    among_hosts = {**shared, **fleet(conf, problems)}
    if "fleet" not in among_hosts:  # each host is alone, whatever the settings want
        actions = {name: entry for name, entry in actions.items() if entry.get("scope") != "fleet"}
    # What fails in a test run of the project's sends no alert, and nothing acts on it.
    given: dict[str, Any] = {} if is_under_test() else {"alerts": alerts, "actions": actions}
    given = {key: value for key, value in given.items() if value}
    engine = Engine(conf.default_timeout, conf.default_ttl, max_stale=conf.max_stale, **among_hosts, **given)
    names = {check.key: check.name for check in found}
    for check in parents_first(found):
        names |= register(engine, check, conf, problems)
    register_lost(engine, conf)
    problems += add_groups(engine, conf, names, known_checks(conf), _skippable(found))
    targets, wrong = read_targets(conf, names, engine.names, known_checks(conf), _skippable(found))
    set_targets(targets)
    problems += wrong
    thresholds = ThresholdSync(engine, {check.key: check.check for check in found}, names, **shared)
    return Runtime(
        conf=conf,
        engine=engine,
        problems=(*conf.problems, *problems),
        names=names,
        thresholds=thresholds,
        critical=_critical(found),
        declared=declared,
        shortest_period=min([conf.ready_max_age, conf.default_ttl, *_ttls(found)]),
        has_alerts="alerts" in given,
        alerts_as=alerts.get("APPLICATION", project_name()),
        channels=tuple(alerts.get("CHANNELS", ())),
        has_actions="actions" in given,
        fleet=among_hosts["fleet"]["name"] if "fleet" in among_hosts else None,
    )


def _skippable(found: Iterable[DiscoveredCheck]) -> set[str]:
    """Return the names of the checks that are skipped, or are where there is no target: none is required."""
    return {
        check.name
        for check in found
        if isinstance(check.check, specs.Skipped) or getattr(check.check, "required", None) is False
    }


def _ttls(found: Iterable[DiscoveredCheck]) -> Iterator[float]:
    for check in found:
        ttl = check.options.get("ttl")
        # One that is no number is refused where the check is registered.
        if isinstance(ttl, (int, float)) and ttl > 0 and not isinstance(check.check, specs.Skipped):
            yield ttl


def reset(**_: object) -> None:
    """Forget the engine: the settings have changed, as they do in tests."""
    _current.clear()
    set_targets({})


setting_changed.connect(reset)


def close_for_test_databases(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Forget the engine, and close what it keeps open, when a database is about to be made or dropped.

    Django connects to none in particular for nothing else: it does so for the databases of tests, which PostgreSQL
    would not let it drop.
    """
    if connection.alias == NO_DB_ALIAS:
        reset()
        close_connections()
        close_kept()


connection_created.connect(close_for_test_databases)

_current: dict[str, Runtime] = {}


def _with_late_checks(runtime: Runtime) -> Runtime:
    """Register the checks that modules have declared since the runtime was built: with the engine that there is."""
    declared = _declared()
    found, problems = discover(runtime.conf)
    late = [check for check in parents_first(found) if check.key not in runtime.names]
    names = dict(runtime.names)
    for check in late:
        if check.name not in runtime.engine.names:  # by another thread
            names |= register(runtime.engine, check, runtime.conf, problems)
    if late:
        add_groups(runtime.engine, runtime.conf, names, known_checks(runtime.conf), _skippable(found))
        set_targets(read_targets(runtime.conf, names, runtime.engine.names, (), _skippable(found))[0])
        logger.info("checks declared after the first request: %s", ", ".join(check.name for check in late))
    return replace(runtime, names=names, critical=_critical(found), declared=declared)


def _declared() -> int:
    return len(registry.DECLARED) + len(registry.REFUSED)


def _critical(found: Iterable[DiscoveredCheck]) -> frozenset[str]:
    return frozenset(check.key for check in found if check.is_critical)
