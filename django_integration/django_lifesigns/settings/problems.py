"""What is wrong with the settings, as values that `manage.py check` and the log show."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from lifesigns.redaction import redact

# Mistakes in `LIFESIGNS` itself.
UNKNOWN_KEY = "E001"
WRONG_VALUE = "E002"
UNKNOWN_CHECK = "E003"
WRONG_OPTION = "E004"
UNKNOWN_CHANNEL = "E006"
UNKNOWN_ACTION = "E007"
# Everything else.
WRONG_TARGET = "W005"
TARGET_IN_PART = "W002"
WRONG_DECLARATION = "W006"
REPLACED = "W007"
UNFAILING_GROUP = "W008"
ALERTS_NOBODY = "W009"
EXPOSED = "W010"
NOT_FIRST = "W011"
WITHOUT_URL = "W012"
NOT_BEGUN = "W013"
OF_TENANTS = "W014"
UNENCRYPTED = "W015"
AMBIGUOUS_APPLICATION = "W016"
ACTS_NEVER = "W017"
REFUSED = "W020"
ANSWERED_BY_OTHERS = "W021"
HANDLERS_LOST = "W022"
SHADOWED = "W023"
UNLIKELY_VALUE = "W018"

OTHERS_RUN = "It is reported as an error until it is put right; the other checks run all the same."
DEFAULT_RULE = "Until it is put right the check runs, and alerts by the counts of LIFESIGNS['ALERTS']."


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: a stable `id`, what is wrong, and how to put it right.

    Whatever its letter, it is a warning of `manage.py check`: health checking stops neither `migrate` nor a deploy. One
    with an E, and one that `loses_checks`, so that no report can show them, is logged as an error.
    """

    id: str
    message: str
    hint: str
    loses_checks: bool = False

    def __post_init__(self) -> None:
        # A URL may stand where a name belongs, and an import may fail with any words.
        object.__setattr__(self, "message", redact(self.message))
        object.__setattr__(self, "hint", redact(self.hint))

    @property
    def level(self) -> int:
        """Return the level at which it is logged."""
        return logging.ERROR if self.id.startswith("E") or self.loses_checks else logging.WARNING

    @property
    def is_reported(self) -> bool:
        """Return whether the report shows it, as the error of a check."""
        return self.loses_checks or OTHERS_RUN in self.hint

    @property
    def text(self) -> str:
        """Return all of it as one line of a log."""
        return sentences(self.message, self.hint)


def import_failure(error: BaseException) -> str:
    """Return the class of what an import raised, and which module is missing; of its text nothing else is known."""
    kind = type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{kind}: no module named {error.name!r}"
    return f"{kind} of {error.name!r}" if isinstance(error, ImportError) and error.name else kind


def sentences(*texts: str) -> str:
    """Return texts as sentences, one after the other, each with its full stop."""
    return " ".join(text if text.endswith((".", "?", "!")) else f"{text}." for text in texts if text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest right name, or all of them."""
    known = sorted(known)
    return nearest_of(name, known) or (f"Known are: {', '.join(known)}." if known else "There is none.")


def nearest_of(name: str, known: Iterable[str]) -> str:
    """The nearest right name, if any is near, whatever the case of its letters."""
    by_letters = {word.casefold(): word for word in known}
    nearest = difflib.get_close_matches(name.casefold(), by_letters, n=1)
    return f"Did you mean {by_letters[nearest[0]]!r}?" if nearest else ""
