"""From `LIFESIGNS["OBJECTIVES"]` to the target of each check."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import (
    TARGET_IN_PART,
    UNKNOWN_CHECK,
    UNLIKELY_VALUE,
    WRONG_OPTION,
    Problem,
    did_you_mean,
    sentences,
)

KEYS = ("target", "days", "degraded_is_bad")
# Of days, of which roll-ups are kept for 400.
MOST_DAYS = 365
DAY_SECONDS = 86_400
# Of percent: below it a share of 1 was written, most likely.
LEAST_LIKELY = 50
WRONG = "Until it is put right these checks have no such objective."


@dataclass(frozen=True, slots=True)
class Target:
    """So many percent of the known time of the last days are to be good."""

    target: float
    days: int = 30
    degraded_is_bad: bool = False
    # Whether the check may be skipped, as where it has no target, and the settings do not name it itself.
    may_be_skipped: bool = False
    # The share of time that is to be good, and that which may be bad.
    ratio: float = field(init=False)
    budget: float = field(init=False)

    def __post_init__(self) -> None:
        # As people would write it: 99.9 / 100 is a little less than 0.999.
        object.__setattr__(self, "ratio", round(self.target / 100, 12))
        object.__setattr__(self, "budget", round(1 - self.ratio, 12))

    @property
    def seconds(self) -> int:
        """The length of the period."""
        return self.days * DAY_SECONDS

    @property
    def window(self) -> str:
        """The name of the period as a window."""
        return f"{self.days}d"


def read_targets(
    conf: Conf,
    names: Mapping[str, str],
    shown: Collection[str],
    known: Collection[str],
    skippable: Collection[str] = (),
) -> tuple[dict[str, Target], list[Problem]]:
    """Return the targets by check, and what is wrong with the settings.

    The name of a check comes before a pattern, and a pattern before ``*``.

    Args:
        conf: the settings.
        names: the names of the checks in the report, by those in the settings.
        shown: the checks that have an objective if one is meant for them.
        known: all names that the settings may use, also of checks that are not run here.
        skippable: the checks that may be skipped.
    """
    entries: dict[str, Target] = {}
    problems: list[Problem] = []
    everything = {*known, *names.values(), *shown}
    for key, entry in conf.objectives.items():
        where = f"LIFESIGNS['OBJECTIVES'][{key!r}]"
        try:
            entries[names.get(key, key)] = _read(entry)
        except ValueError as error:
            problems.append(Problem(WRONG_OPTION, sentences(f"{where}: {error}"), WRONG))
        else:
            problems += _unlikely(where, entries[names.get(key, key)])
        if key == "*" or any(fnmatchcase(name, key) for name in everything):
            continue
        if "*" in key or "?" in key:
            problems.append(Problem(TARGET_IN_PART, f"{where}: no check matches {key!r}.", "It is left out."))
        else:
            problems.append(Problem(UNKNOWN_CHECK, f"{where} names an unknown check.", did_you_mean(key, everything)))
    patterns = sorted((key for key in entries if "*" in key or "?" in key), key=lambda key: key == "*")
    targets = {}
    for name in shown:
        pattern = next((key for key in patterns if fnmatchcase(name, key)), None)
        if name in entries:
            targets[name] = entries[name]
        elif pattern is not None:
            targets[name] = replace(entries[pattern], may_be_skipped=name in skippable)
    return targets, problems


def _read(entry: object) -> Target:
    if not isinstance(entry, Mapping):
        raise ValueError("an objective is a dict of 'target', 'days' and 'degraded_is_bad'")
    for key in entry.keys() - set(KEYS):
        raise ValueError(f"unknown key {key!r}: {did_you_mean(str(key), KEYS)}")
    if "target" not in entry:
        raise ValueError("'target' is missing: the percentage of time that is to be good, such as 99.9")
    target, days = entry["target"], entry.get("days", 30)
    degraded_is_bad = entry.get("degraded_is_bad", False)
    if not _is_number(target) or not 0 < target < 100:
        meant = ""
        if _is_number(target) and target == 100:
            meant = " (100 would leave no budget to spend)"
        raise ValueError(f"'target' must be a number of percent between 0 and 100{_not(target)}{meant}")
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MOST_DAYS:
        raise ValueError(f"'days' must be a whole number from 1 to {MOST_DAYS}{_not(days)}")
    if not isinstance(degraded_is_bad, bool):
        raise ValueError("'degraded_is_bad' must be True or False")
    return Target(float(target), days, degraded_is_bad)


def _unlikely(where: str, target: Target) -> Iterator[Problem]:
    if target.target < LEAST_LIKELY:
        message = f"{where}: a target of {target.target:g}% lets the check be bad for most of its time."
        yield Problem(UNLIKELY_VALUE, message, "It is in percent: 99.9 for 99.9%.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _not(value: object) -> str:
    # Only numbers are shown: anything else may be a secret in the wrong place.
    return f", not {value}" if isinstance(value, (int, float)) else ""
