"""How pages say a status, a time and a duration, in the language in effect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.objectives.sentence import Phrases
from django_lifesigns.history.reports.cells import moment

# Not just any digits that Python would take for a date.
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
STATUSES = {
    "healthy": lazy("healthy"),
    "degraded": lazy("degraded"),
    "error": lazy("error"),
    "skipped": lazy("skipped"),
    "unhealthy": lazy("unhealthy"),
    "alive": lazy("alive"),
    "ready": lazy("ready"),
    "not_ready": lazy("not ready"),
    "draining": lazy("draining"),
    "started": lazy("started"),
    "starting": lazy("starting"),
    "unknown": lazy("unknown"),
    "forbidden": lazy("forbidden"),
    "unauthorized": lazy("unauthorized"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as machines read it, as people do, and how long ago it was."""

    iso: str
    text: str
    ago: str


def word(status: str) -> str:
    """Return the word for a status; one that is not known is its own."""
    return str(STATUSES.get(status, status))


def moment_of(value: object, now: datetime, phrases: Phrases | None = None) -> Moment | None:
    """Return the time that a text in ISO 8601 says; None where it says none."""
    if not (isinstance(value, str) and TIME.match(value)):
        return None
    try:
        at = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return Moment(value, moment(at), ago((now - at).total_seconds(), phrases or Phrases()))


def ago(seconds: float, _: Phrases) -> str:
    """Return how long ago something was; clocks of two hosts may differ a little."""
    return _("%(duration)s ago") % {"duration": _.duration(seconds)} if seconds >= 1 else _("just now")


def milliseconds(value: object) -> str:
    """Return a duration that is given in milliseconds; empty where it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    if value < 1_000:
        return _("%(number)s ms") % {"number": f"{value:.1f}"}
    return _("%(number)s s") % {"number": f"{value / 1_000:.1f}"}


def label(key: str) -> str:
    """Return a key of JSON as people write it."""
    text = key.replace("_", " ")
    return text[:1].upper() + text[1:]
