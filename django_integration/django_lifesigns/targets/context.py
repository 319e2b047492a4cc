"""What a finder of a check's target is given, and the ways in which it says that there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import TARGET_IN_PART, Problem


class NoTargetError(LookupError):
    """Nothing to check is configured; the text says which setting would."""


class CannotCheckError(LookupError):
    """What is configured is no fault and cannot be checked: skipped, even where it is required; the text says why."""


class WrongTargetError(ValueError):
    """What is configured cannot be checked; each message names the setting and says what would be right."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class WrongSettingError(WrongTargetError):
    """The value of one of our own settings is wrong, whatever it was to name."""


@dataclass(kw_only=True)
class DiscoveryContext:
    """For one check: the settings, whether it has to apply, and what was found wrong on the way."""

    name: str
    conf: Conf
    required: bool = False
    problems: list[Problem] = field(default_factory=list)
    # How the check is run by default where its target is such that another default is right.
    options: dict[str, object] = field(default_factory=dict)

    @property
    def timeout(self) -> float:
        """How many seconds the check may run."""
        entry = self.conf.checks.get(self.name)
        own = entry.get("timeout") if isinstance(entry, Mapping) else None
        return cast("float", own or self.conf.default_timeout)

    def in_part(self, where: str, ignored: Iterable[str]) -> None:
        """Note what of a target is left out of the checks of it: one message for each name."""
        for name in sorted(ignored):
            message = f"{where}: {name} cannot be honoured by native checks."
            hint = f"If it matters, replace the check: LIFESIGNS['CHECKS'][{self.name!r}] = 'dotted.path'."
            self.note(message, hint)

    def note(self, message: str, hint: str) -> None:
        """Add a warning of `manage.py check`, unless another check of the same target has given it."""
        if all(problem.message != message for problem in self.problems):
            self.problems.append(Problem(TARGET_IN_PART, message, hint))
