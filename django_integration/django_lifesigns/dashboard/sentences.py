"""What the page says in words: of a strip for those who do not see it, of the whole, of times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import gettext_noop as noop

from django_lifesigns.dashboard.strips import DAYS, STATES, UNKNOWN, Strip
from django_lifesigns.history.objectives.sentence import Phrases

MESSAGES = {
    "healthy": lazy("All systems operational"),
    "degraded": lazy("Service operational with reduced functionality"),
    "unhealthy": lazy("Critical systems failing"),
    "unknown": lazy("Not all critical checks have a result yet"),
}
OF_DAY = {
    "error": noop("%(time)s in error"),
    "degraded": noop("%(time)s degraded"),
    "maintenance": noop("%(time)s in maintenance"),
    "blocked": noop("%(time)s blocked"),
}
NO_CHECKS = lazy("No checks are registered")


def strip_sentence(strip: Strip | None, _: Phrases) -> str:
    """Return one sentence about the days of a check."""
    values = {"days": DAYS}
    unknown = DAYS if strip is None else strip.states.count(UNKNOWN)
    if strip is None or unknown == DAYS:
        return _("Nothing is known of the last %(days)d days.") % values
    parts = [*_bad_days(strip, _)] if strip.days else []
    parts = parts or [_("healthy")]
    if unknown:
        text = _.ngettext("nothing known of %(count)d day", "nothing known of %(count)d days", unknown)
        parts.append(text % {"count": unknown})
    return _("Last %(days)d days: %(parts)s.") % {**values, "parts": ", ".join(parts)}


def _bad_days(strip: Strip, _: Phrases) -> Iterator[str]:
    days = strip.days.values()
    if number := strip.states.count(STATES["error"]):
        text = _.ngettext("%(time)s in error on %(count)d day", "%(time)s in error on %(count)d days", number)
        yield text % {"time": _.duration(sum([day.error for day in days])), "count": number}
    if degraded := [day.degraded for day in days if day.degraded > 0]:
        text = _.ngettext("%(time)s degraded on %(count)d day", "%(time)s degraded on %(count)d days", len(degraded))
        yield text % {"time": _.duration(sum(degraded)), "count": len(degraded)}
    if number := len([day for day in days if day.maintenance > 0]):
        text = _.ngettext("maintenance on %(count)d day", "maintenance on %(count)d days", number)
        yield text % {"count": number}
    if number := len([day for day in days if day.blocked > 0]):
        text = _.ngettext("blocked on %(count)d day", "blocked on %(count)d days", number)
        yield text % {"count": number}


def message_of(status: str, count: int) -> str:
    """Return what the whole is, in words."""
    return str(MESSAGES[status]) if count else str(NO_CHECKS)


def day_title(date: str, seconds: Iterable[float], _: Phrases) -> str:
    """Return what a day was that was not plainly healthy: its date, and its seconds in each state of `OF_DAY`."""
    found = []
    for text, each in zip(OF_DAY.values(), seconds, strict=True):
        if each > 0:
            found.append(_(text) % {"time": _.duration(each)})
    return f"{date}: {', '.join(found)}"
