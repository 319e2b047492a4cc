"""What an engine takes as a check."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from lifesigns.specs import Spec

Check = Spec | Mapping[str, object] | Callable[[], object]


def is_record(check: Check) -> bool:
    """Whether it has fields, which can be changed in a copy."""
    return dataclasses.is_dataclass(check) and not isinstance(check, type)
