"""What is wrong with the settings, as values that `manage.py check` and the log show."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

UNKNOWN_KEY = "E001"
WRONG_VALUE = "E002"
UNKNOWN_CHECK = "E003"
WRONG_OPTION = "E004"
WRONG_TARGET = "E005"
NOT_SUPPORTED_YET = "W001"
TARGET_IN_PART = "W002"

OTHERS_RUN = "It is reported as an error until it is put right; the other checks run all the same."


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: a stable `id` (E: error, W: warning), what is wrong, and how to put it right."""

    id: str
    message: str
    hint: str


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest right name, or all of them."""
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {nearest[0]!r}?" if nearest else f"Known are: {', '.join(known)}."
