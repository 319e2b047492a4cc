"""The engine of this process, built from the settings when it is first needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from django.core.signals import setting_changed
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_lifesigns import recorder
from django_lifesigns.callables.verdict import Verdict
from django_lifesigns.catalogue import CATALOGUE
from django_lifesigns.conf import Conf, read
from django_lifesigns.connections import identity, runnable
from django_lifesigns.discovery import OWN, Found, discover
from django_lifesigns.first_use import import_packages, imports
from django_lifesigns.hidden import secrets
from django_lifesigns.problems import OTHERS_RUN, WRONG_OPTION, WRONG_TARGET, Problem
from django_lifesigns.scope import scope
from django_lifesigns.thresholds import Follower
from lifesigns import Engine, close_connections
from lifesigns.redaction import hide
from lifesigns.shutdown import wrap_sigterm

logger = logging.getLogger("django_lifesigns")


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What came of the settings; `names` are those of the checks in the report, by those in the settings."""

    conf: Conf
    engine: Engine
    problems: tuple[Problem, ...]
    names: Mapping[str, str]
    thresholds: Follower


def get_engine() -> Engine:
    """The engine with all checks of this project; threads and connections start with its first run."""
    return current().engine


def current(patience: float | None = None) -> Built:
    """What came of the settings as they are now.

    `patience`: how many seconds to wait at most for the thresholds that were saved (a quarter of `READY_BUDGET`). Only
    the first caller of a process waits, and one who comes after nobody has asked for long.
    """
    wrap_sigterm()
    if "built" not in _current:
        built = build(read())
        # No lock, which a fork could leave locked for ever: of two threads that built at once, one result is dropped.
        if _current.setdefault("built", built) is built:
            for problem in built.problems:
                level = logging.ERROR if problem.id.startswith("E") else logging.WARNING
                logger.log(level, "lifesigns.%s: %s %s", problem.id, problem.message, problem.hint)
    built = _current["built"]
    built.thresholds.follow(built.conf.ready_budget / 4 if patience is None else patience)
    recorder.nudge()
    return built


def build(conf: Conf) -> Built:
    """An engine with every check; one that is wrong is registered as an error, and the others still run."""
    hide(secrets())
    import_packages()
    shared = scope(conf)
    engine = Engine(conf.default_timeout, conf.default_ttl, max_stale=conf.max_stale, **shared)
    found, problems = discover(conf)
    names = {check.key: check.name for check in found}
    for check in _parents_first(found):
        try:
            options = cast("dict[str, Any]", check.options)
            options = options | {"imports": [*options.get("imports", ()), *imports(check.check)]}
            engine.register(check.name, runnable(check.check), identity=identity(check.check), **options)
        except ValueError as error:
            problem = _wrong(check.key, conf, str(error))
            problems.append(problem)
            with suppress(ValueError):  # the name itself may be what is wrong
                critical = CATALOGUE.get(check.key, OWN).critical
                names[check.key] = check.key
                wrong = Verdict("error", problem.message)
                engine.register(check.key, wrong, critical=critical, identity=identity(wrong))
    follower = Follower(engine, {check.key: check.check for check in found}, names, **shared)
    return Built(conf=conf, engine=engine, problems=(*conf.problems, *problems), names=names, thresholds=follower)


def reset(**_: object) -> None:
    """Forget the engine: the settings have changed, as they do in tests."""
    _current.clear()


setting_changed.connect(reset)


def let_go(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Forget the engine, and close what it keeps open, when a database is about to be made or dropped.

    Django connects to none in particular for nothing else: it does so for the databases of tests, which PostgreSQL
    would not let it drop.
    """
    if connection.alias == NO_DB_ALIAS:
        reset()
        close_connections()


connection_created.connect(let_go)

_current: dict[str, Built] = {}


def _wrong(name: str, conf: Conf, reason: str) -> Problem:
    if name in conf.checks:
        return Problem(WRONG_OPTION, f"LIFESIGNS['CHECKS'][{name!r}]: {reason}", OTHERS_RUN)
    setting = CATALOGUE.get(name, OWN).setting
    return Problem(WRONG_TARGET, f"{setting}: {reason}", OTHERS_RUN)


def _parents_first(found: list[Found]) -> Iterator[Found]:
    """The same checks, each after those it depends on, since the engine wants to know them first."""
    by_name = {check.name: check for check in found}
    done: set[str] = set()

    def visit(check: Found) -> Iterator[Found]:
        if check.name not in done:
            done.add(check.name)
            parents = cast("tuple[str, ...]", check.options.get("depends_on", ()))
            for parent in parents:
                if parent in by_name:
                    yield from visit(by_name[parent])
            yield check

    for check in found:
        yield from visit(check)
