"""Which of the media types on offer a request prefers. What cannot be understood is no error: a probe has to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest

# Of a header that is longer the rest does not count.
LONGEST = 1_024
KEPT = 64


def preferred(request: HttpRequest, offered: Sequence[str], formats: Mapping[str, str]) -> str:
    """Return the type that `?format=` names (one of `formats`), or that `Accept` prefers; else the first on offer.

    Of types that are equally welcome it is the first, as for `*/*`.
    """
    named = formats.get(parameter(request, "format", ""))
    return _by_accept(request.META.get("HTTP_ACCEPT", "")[:LONGEST], tuple(offered)) if named is None else named


@lru_cache(KEPT)
def _by_accept(accept: str, offered: tuple[str, ...]) -> str:
    # Parsing takes longer than many a probe, and a caller sends the same header each time.
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = accept or "*/*"
    try:
        return request.get_preferred_type(offered) or offered[0]
    except ValueError:  # Django's parser does not understand it
        return offered[0]


def parameter(request: HttpRequest, name: str, default: str) -> str:
    """Return a parameter of the query; the default also where Django refuses the query as too long."""
    if not request.META.get("QUERY_STRING"):
        return default
    try:
        return request.GET.get(name, default)
    except SuspiciousOperation:
        return default
