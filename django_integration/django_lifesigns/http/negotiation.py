"""Which of the media types on offer the `Accept` header of a request prefers."""

from __future__ import annotations

import re
from collections.abc import Sequence

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# One range with its weight; other parameters are allowed and mean nothing here (RFC 9110, 12.5.1).
RANGE = re.compile(rf"\s*(\*/\*|{TOKEN}/(?:\*|{TOKEN}))\s*((?:;\s*{TOKEN}\s*=\s*(?:\"[^\"]*\"|{TOKEN})\s*)*)")
WEIGHT = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)
LONGEST = 4_096


class MalformedAcceptError(ValueError):
    """The header is no list of media ranges."""


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """The offered type that the header prefers; the first of those equally welcome, and the first if none is.

    Raises:
        MalformedAcceptError: the header cannot be understood.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = _ranges(accept)
    # The sort is stable, so of equals the first stays first.
    return sorted(offered, key=lambda media_type: -_weight(media_type, ranges))[0]


def _ranges(accept: str) -> dict[str, float]:
    if len(accept) > LONGEST:
        raise MalformedAcceptError(f"longer than {LONGEST} characters")
    found: dict[str, float] = {}
    for part in filter(str.strip, accept.split(",")):
        match = RANGE.fullmatch(part)
        if match is None:
            raise MalformedAcceptError("not a list of media types")
        found[match[1].lower()] = _q(match[2])
    return found


def _q(parameters: str) -> float:
    weight = WEIGHT.search(parameters)
    return float(weight[1]) if weight else 1.0


def _weight(media_type: str, ranges: dict[str, float]) -> float:
    """That of the most specific range which the type is in; 0 if it is in none."""
    for key in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if key in ranges:
            return ranges[key]
    return 0.0
