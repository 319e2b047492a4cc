"""What an answer says, in whichever media type it is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

Body = Mapping[str, Any]
Results = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The body, the results that stand in it, and what a page shows beside them.

    Args:
        request: that is answered.
        body: the whole answer.
        results: those in the body, by check; empty where the body is one result itself, or has none.
        check: the name of the check whose result the body is.
        is_detailed: whether the caller sees details.
        critical: the names of the critical checks, as far as the caller may know them.
        group: whose checks these are, empty for those of the whole.
        decisive: the checks of the group that make it unhealthy when they fail, which is no secret then.
    """

    request: HttpRequest
    body: Body
    results: Results = field(default_factory=dict)
    check: str = ""
    is_detailed: bool = False
    critical: Collection[str] = ()
    group: str = ""
    decisive: Collection[str] = ()
