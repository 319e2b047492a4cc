"""What is wrong with a check that the engine has refused, by where it comes from: a setting, a module, a target."""

from __future__ import annotations

from collections.abc import Iterable

from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import (
    OTHERS_RUN,
    WRONG_DECLARATION,
    WRONG_OPTION,
    WRONG_TARGET,
    Problem,
    did_you_mean,
    sentences,
)
from django_lifesigns.targets.discovered import DiscoveredCheck, parents_of
from django_lifesigns.targets.discovery import known_checks
from lifesigns import checks as registry


def problem_of(check: DiscoveredCheck, conf: Conf, reason: str, names: Iterable[str]) -> Problem:
    """Return where it comes from, and why it was refused; `names` are those of the checks that are registered."""
    key, declared = check.key, registry.DECLARED.get(check.key)
    reason = reason.removeprefix(f"{check.name}: ")  # the setting names it
    hint = OTHERS_RUN
    for parent in sorted(parents_of(check) - set(names)):
        if parent in known_checks(conf):
            reason = f"depends_on names {parent!r}, which is disabled or depends on this check in turn."
        else:
            reason = f"depends_on names {parent!r}, which is no check."
            hint = sentences(did_you_mean(parent, names), OTHERS_RUN)
    if key in conf.checks:
        return Problem(WRONG_OPTION, f"LIFESIGNS['CHECKS'][{key!r}]: {reason}", hint)
    if declared:
        module = getattr(declared.check, "__module__", "a module")
        return Problem(WRONG_DECLARATION, f"The check {key!r} that {module} declares: {reason}", hint)
    return Problem(WRONG_TARGET, f"{check.setting}: {reason}", hint)
