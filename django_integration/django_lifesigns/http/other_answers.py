"""The answers of probes that are no result: that it drains, that a name is unknown, that a refresh is refused."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse

from django_lifesigns.http.negotiation import parameter
from django_lifesigns.http.renderers import answer
from django_lifesigns.settings.problems import nearest_of


def draining_answer(request: HttpRequest) -> HttpResponse:
    """Return 503: the process is about to end."""
    return answer(request, {"status": "draining", "timestamp": now(), "message": "Service is shutting down"}, 503)


def unknown(what: str, name: str, known: Sequence[str]) -> dict[str, Any]:
    """Return the body for a name that there is not, of a check or a group, with those that there are."""
    shown = name[:100]
    nearest = nearest_of(shown, known)
    message = f"Unknown {what} {shown!r}" + (f". {nearest}" if nearest else "")
    return {"status": "unknown", "message": message, "known": known}


def wants_refresh(request: HttpRequest) -> bool:
    """Return whether the caller wants also what is fresh to be run."""
    return parameter(request, "refresh", "0") not in ("0", "false")


def refuse_refresh(request: HttpRequest) -> HttpResponse:
    """Return 403 for a caller who may not have that."""
    # Whatever SHOW_DETAILS says: a refresh is load on what is checked.
    message = "A refresh requires a bearer token, an allowed network or a staff session"
    return answer(request, {"status": "forbidden", "message": message}, 403)


def now() -> str:
    """Return the time as answers have it."""
    seconds, microseconds = divmod(time.time_ns() // 1_000, 1_000_000)
    return f"{_at_second(seconds)}.{microseconds:06}Z"


@lru_cache(1)
def _at_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
