"""What a finder of a check's target is given, and the ways in which it says that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import TARGET_IN_PART, Problem


class NoTargetError(LookupError):
    """Nothing to check is configured; the text says which setting would."""


class WrongTargetError(ValueError):
    """What is configured cannot be checked; the text names the setting and says what would be right."""


@dataclass(kw_only=True)
class DiscoveryContext:
    """For one check: the settings, whether it has to apply, and what was found wrong on the way."""

    name: str
    conf: Conf
    required: bool = False
    problems: list[Problem] = field(default_factory=list)

    @property
    def timeout(self) -> float:
        """How many seconds the check may run."""
        entry = self.conf.checks.get(self.name)
        own = entry.get("timeout") if isinstance(entry, Mapping) else None
        return cast("float", own or self.conf.default_timeout)

    def in_part(self, where: str, ignored: set[str]) -> None:
        """Notes what of a target is left out of its check."""
        if ignored:
            names = ", ".join(sorted(ignored))
            message = f"{where}: {names} cannot be honoured by the check {self.name}."
            hint = f"If it matters there, replace the check: LIFESIGNS['CHECKS'][{self.name!r}] = 'dotted.path'."
            self.problems.append(Problem(TARGET_IN_PART, message, hint))
