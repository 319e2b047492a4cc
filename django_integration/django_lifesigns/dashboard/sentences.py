"""What the page says in words: of a strip for those who do not see it, of the whole, of times."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.dashboard.strips import DAYS, STATES, UNKNOWN, Strip
from django_lifesigns.history.objectives.sentence import duration

MESSAGES = {
    "healthy": lazy("All systems operational"),
    "degraded": lazy("Service operational with reduced functionality"),
    "unhealthy": lazy("Critical systems failing"),
    "unknown": lazy("Not all critical checks have a result yet"),
}
OF_DAY = {
    "error": lazy("%(time)s in error"),
    "degraded": lazy("%(time)s degraded"),
    "maintenance": lazy("%(time)s in maintenance"),
    "blocked": lazy("%(time)s blocked"),
}
NO_CHECKS = lazy("No checks are registered")


def strip_sentence(strip: Strip | None) -> str:
    """Return one sentence about the days of a check."""
    values = {"days": DAYS}
    if strip is None or not set(strip.states) - {UNKNOWN}:
        return _("Nothing is known of the last %(days)d days.") % values
    parts = []
    if number := strip.states.count(STATES["error"]):
        text = ngettext("%(time)s in error on %(count)d day", "%(time)s in error on %(count)d days", number)
        parts.append(text % {"time": duration(_seconds(strip, "error")), "count": number})
    if number := sum(figures["degraded"] > 0 for figures in strip.days.values()):
        text = ngettext("%(time)s degraded on %(count)d day", "%(time)s degraded on %(count)d days", number)
        parts.append(text % {"time": duration(_seconds(strip, "degraded")), "count": number})
    if number := sum(figures["maintenance"] > 0 for figures in strip.days.values()):
        text = ngettext("maintenance on %(count)d day", "maintenance on %(count)d days", number)
        parts.append(text % {"count": number})
    if number := sum(figures["blocked"] > 0 for figures in strip.days.values()):
        text = ngettext("blocked on %(count)d day", "blocked on %(count)d days", number)
        parts.append(text % {"count": number})
    parts = parts or [_("healthy")]
    if number := strip.states.count(UNKNOWN):
        text = ngettext("nothing known of %(count)d day", "nothing known of %(count)d days", number)
        parts.append(text % {"count": number})
    return _("Last %(days)d days: %(parts)s.") % {**values, "parts": ", ".join(parts)}


def _seconds(strip: Strip, name: str) -> float:
    return sum(strip.seconds(number, name) for number in strip.days)


def message_of(status: str, count: int) -> str:
    """Return what the whole is, in words."""
    return str(MESSAGES[status]) if count else str(NO_CHECKS)


def day_words(seconds: Mapping[str, float]) -> str:
    """Return what a day was that was not plainly healthy, in words."""
    return ", ".join(text % {"time": duration(seconds[name])} for name, text in OF_DAY.items() if seconds[name] > 0)
