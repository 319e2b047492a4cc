"""The names of discovered checks: right, unique, and those under which parents are shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import cast

from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.problems import OTHERS_RUN, WRONG_OPTION, Problem
from django_lifesigns.targets.aliases import LONGEST, ODD
from django_lifesigns.targets.dependencies import default_parents
from django_lifesigns.targets.discovered import DiscoveredCheck
from lifesigns import checks as registry

NAMES = "a name is 1 to 100 letters, digits, '_', '-' or '.'"


def rightly_named(checks: list[DiscoveredCheck], problems: list[Problem]) -> list[DiscoveredCheck]:
    """Return the checks, each with a name that an engine takes; one with another name is an error."""
    taken = {name for check in checks for name in (check.key, check.name)}
    named = []
    for check in checks:
        if not _is_name(check.name):
            name = check.key if _is_name(check.key) else _new_name(check.key, taken)
            taken.add(name)
            if check.key in registry.REFUSED and check.key == check.name:
                # Its module has been named as the place of the mistake, and it is an error that says so.
                check = replace(check, name=name)
            else:
                message = f"LIFESIGNS['CHECKS'][{check.key!r}]: {NAMES}, which {check.name!r} is not."
                problems.append(Problem(WRONG_OPTION, message, OTHERS_RUN))
                check = replace(check, name=name, check=FixedResult("error", message))
        named.append(check)
    return named


def _is_name(name: str) -> bool:
    return 0 < len(name) <= LONGEST and not ODD.search(name)


def _new_name(key: str, taken: Collection[str]) -> str:
    """Return a name like the key, with `_` for what cannot stand in one, that no other check has."""
    plain = ODD.sub("_", key)[: LONGEST - 4] or "check"
    numbered = (f"{plain}_{number}" for number in count(2))
    return next(name for name in chain([plain], numbered) if name not in taken)


def uniquely_named(checks: list[DiscoveredCheck], problems: list[Problem]) -> list[DiscoveredCheck]:
    """Return the checks, no two with one name."""
    taken = {check.key: check for check in checks if check.name == check.key}
    unique = []
    for check in checks:
        if taken.setdefault(check.name, check) is not check:
            message = f"LIFESIGNS['CHECKS'][{check.key!r}] has the 'name' of another check, {check.name!r}."
            problems.append(Problem(WRONG_OPTION, message, "Choose another; until then it is not renamed."))
            check = replace(check, name=_new_name(check.key, taken))
            taken[check.name] = check
        unique.append(check)
    return unique


def linked_by_name(checks: list[DiscoveredCheck]) -> list[DiscoveredCheck]:
    """Return the checks, each with the names under which those that it depends on are shown."""
    names = {check.key: check.name for check in checks}
    by_key: Mapping[str, Check] = {check.key: check.check for check in checks}
    linked = []
    for check in checks:
        configured = cast("Sequence[str] | None", check.options.get("depends_on"))
        parents = default_parents(check.key, by_key) if configured is None else configured
        shown = tuple(names.get(parent, parent) for parent in parents)
        linked.append(replace(check, options={**check.options, "depends_on": shown}) if shown else check)
    return linked
