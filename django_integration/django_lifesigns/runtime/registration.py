"""Registers what the settings lead to with the engine: each check, or the error that it cannot be one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from django_lifesigns.checks.connections import identity, runnable
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.imports import imports
from django_lifesigns.checks.servers import server_of
from django_lifesigns.runtime.refused_checks import problem_of
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import DEFAULT_RULE, Problem
from django_lifesigns.targets.discovered import DiscoveredCheck
from lifesigns import Engine, specs
from lifesigns.acting import is_of_fleet
from lifesigns.arguments import plain_spec, refuse_arguments
from lifesigns.registry import default_scope


def register(engine: Engine, check: DiscoveredCheck, conf: Conf, problems: list[Problem]) -> dict[str, str]:
    """Register a check, or the error that it cannot be, and return its name in the report by that in the settings."""
    try:
        _add(engine, check, check.options)
    except ValueError as error:
        problem = problem_of(check, conf, str(error), engine.names)
        if _runs_without_its_rule(engine, check):
            problem = replace(problem, hint=DEFAULT_RULE)
        else:
            with suppress(ValueError):  # another check of that name
                wrong = FixedResult("error", problem.message)
                scope = _scope_of_fixed(engine, check.name)
                engine.register(check.name, wrong, critical=check.is_critical, identity=identity(wrong), scope=scope)
        problems.append(problem)
    return {check.key: check.name}


def _runs_without_its_rule(engine: Engine, check: DiscoveredCheck) -> bool:
    """Register a check that was refused without `alert`: how it alerts is no reason not to run it.

    Return False where it is refused again.
    """
    options = dict(check.options)
    if options.pop("alert", None) is None:
        return False
    try:
        _add(engine, check, options)
    except ValueError:
        return False
    return True


def _add(engine: Engine, check: DiscoveredCheck, given: Mapping[str, object]) -> None:
    """Register a check with these options.

    Raises:
        ValueError: the check or an option is wrong.
    """
    options: dict[str, Any] = dict(given)
    more = {
        "imports": [*options.get("imports", ()), *imports(check.check)],
        "server": server_of(check.check),
    }
    if _is_fixed(check):
        options["scope"] = _scope_of_fixed(engine, check.name)
    if callable(check.check):  # what runs it takes any
        refuse_arguments(check.name, check.check)
    engine.register(check.name, runnable(check.check), identity=identity(check.check), **{**options, **more})


def _scope_of_fixed(engine: Engine, name: str) -> Literal["fleet"] | None:
    """Return who shares a result that every process knows: others only where an action of the fleet is about it."""
    return "fleet" if is_of_fleet(engine, name) else None


def scope_of(check: DiscoveredCheck) -> str | None:
    """Return who shares the result of a check; None: that of its settings, which nothing has to be found out for."""
    if _is_fixed(check):
        return None
    scope = check.options.get("scope")
    return scope if isinstance(scope, str) else default_scope(plain_spec(check.check))


def _is_fixed(check: DiscoveredCheck) -> bool:
    """Return whether there is nothing to find out for others."""
    return isinstance(check.check, (specs.Skipped, FixedResult))


def register_lost(engine: Engine, conf: Conf) -> None:
    """Have the report say that checks are missing which the settings were to add.

    Not as a critical one: which those are is unknown, and health checking is to stop no application.
    """
    lost = [problem.text for problem in conf.problems if problem.loses_checks]
    if lost:
        check = FixedResult("error", " ".join(lost))
        engine.register("settings.LIFESIGNS", check, critical=False, identity=identity(check))
