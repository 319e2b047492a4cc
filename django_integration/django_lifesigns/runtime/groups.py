"""From `LIFESIGNS["GROUPS"]` to the groups of an engine: lists of checks, each with a criticality of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import cast

from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import (
    TARGET_IN_PART,
    UNFAILING_GROUP,
    UNKNOWN_CHECK,
    WRONG_OPTION,
    Problem,
    did_you_mean,
    sentences,
)
from lifesigns import Engine

KEYS = ("checks", "critical")
WRONG = "Until it is put right there is no such group: its URL answers 404."
EMPTY = "The group is unhealthy until it names a check that is enabled."


def add_groups(
    engine: Engine, conf: Conf, names: Mapping[str, str], known: Collection[str], skippable: Collection[str] = ()
) -> list[Problem]:
    """Add the groups of the settings to an engine, and return what is wrong with them.

    Args:
        engine: with all checks.
        conf: the settings.
        names: the names of the checks in the report, by those in the settings.
        known: all names that the settings may use, also of checks that are not run here.
        skippable: the names in the report of the checks that are skipped, or may be, as nothing requires their target.
    """
    problems: list[Problem] = []
    everything = {*known, *names.values()}
    for group, entry in conf.groups.items():
        where = setting_of(group)
        try:
            checks, critical = _read(entry)
            wrong = [name for name in critical or () if not _is_pattern(name) and name not in everything]
            if wrong:  # without it the group would be healthy whatever happens
                raise ValueError(f"the critical check {wrong[0]!r} is unknown: {did_you_mean(wrong[0], everything)}")
            if critical and not _matched(critical, _matched(checks, everything)):
                raise ValueError(f"none of its checks matches the critical {', '.join(map(repr, critical))}")
            shown = None if critical is None else [names.get(name, name) for name in critical]
            engine.add_group(group, [names.get(name, name) for name in checks], critical=shown)
        except ValueError as error:
            problems.append(Problem(WRONG_OPTION, sentences(f"{where}: {error}"), WRONG))
        else:
            problems += _unknown(where, checks, everything)
            problems += _without_effect(where, critical or (), _matched(checks, everything))
            if not engine.names_of(group):
                problems.append(Problem(UNFAILING_GROUP, f"{where}: none of its checks is run here.", EMPTY))
            elif critical != []:  # which would be what was meant
                problems += _unfailing(where, engine.names_of(group, critical_only=True), names, skippable, conf)
    return problems


def setting_of(group: str) -> str:
    """Return where the settings have a group."""
    return f"LIFESIGNS['GROUPS'][{group!r}]"


def _unfailing(
    where: str, critical: Collection[str], names: Mapping[str, str], skippable: Collection[str], conf: Conf
) -> Iterator[Problem]:
    """Yield the problem of a group that is healthy whatever happens; `critical` are its critical checks."""
    if not critical:
        message = f"{where}: no check that is enabled is critical: nothing makes the group unhealthy."
        yield Problem(UNFAILING_GROUP, message, "Name one as 'critical', or [] if that is meant.")
    elif set(critical) <= set(skippable):
        which = " and ".join(map(repr, critical))
        noun, verb = ("check", "is") if len(critical) == 1 else ("checks", "are")
        message = (
            f"{where}: its only critical {noun}, {which}, {verb} skipped where there is nothing to check: "
            "then nothing makes the group unhealthy."
        )
        keys = [key for key, name in names.items() if name in critical and not conf.requires(key)]
        hint = (
            f"Add {' and '.join(map(repr, keys))} to LIFESIGNS['REQUIRED'], "
            if keys
            else "Name another check as 'critical', "
        )
        yield Problem(UNFAILING_GROUP, message, f"{hint}or write 'critical': [] if that is meant.")


def _read(entry: object) -> tuple[list[str], list[str] | None]:
    if not isinstance(entry, Mapping):
        raise ValueError("a group is a dict of 'checks' and 'critical'")
    for key in entry.keys() - set(KEYS):
        raise ValueError(f"unknown key {key!r}: {did_you_mean(str(key), KEYS)}")
    for key, value in entry.items():
        if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
            raise ValueError(f"{key!r} must be a list of names of checks, or of patterns with '*' and '?'")
    critical = entry.get("critical")
    return list(entry.get("checks", ())), None if critical is None else list(cast("list[str]", critical))


def _unknown(where: str, names: Collection[str], known: Collection[str]) -> Iterator[Problem]:
    for name in names:
        if any(fnmatchcase(other, name) for other in known):
            continue
        if _is_pattern(name):
            yield Problem(TARGET_IN_PART, f"{where}: no check matches {name!r}.", "The pattern is left out.")
        else:
            yield Problem(UNKNOWN_CHECK, f"{where} names an unknown check {name!r}.", did_you_mean(name, known))


def _without_effect(where: str, critical: Collection[str], checks: Collection[str]) -> Iterator[Problem]:
    for name in critical:
        if not _matched([name], checks):
            message = f"{where}: the critical {name!r} matches none of its checks."
            yield Problem(UNFAILING_GROUP, message, f"{name!r} is left out.")


def _matched(names: Collection[str], known: Collection[str]) -> set[str]:
    return {other for other in known if any(fnmatchcase(other, name) for name in names)}


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name
