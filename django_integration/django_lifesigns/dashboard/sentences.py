"""What the page says in words: of a strip for those who do not see it, of the whole, of times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import gettext_noop as noop

from django_lifesigns.dashboard.strips import DAYS, UNKNOWN, Strip
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
    parts = [*_bad_days(strip, _)] or [_("healthy")]
    if unknown:
        text = _.ngettext("nothing known of %(count)d day", "nothing known of %(count)d days", unknown)
        parts.append(text % {"count": unknown})
    return _("Last %(days)d days: %(parts)s.") % {**values, "parts": ", ".join(parts)}


def _bad_days(strip: Strip, _: Phrases) -> Iterator[str]:
    if days := strip.seconds.get("error"):
        text = _.ngettext("%(time)s in error on %(count)d day", "%(time)s in error on %(count)d days", len(days))
        yield text % {"time": _.duration(sum(days.values())), "count": len(days)}
    if days := strip.seconds.get("degraded"):
        text = _.ngettext("%(time)s degraded on %(count)d day", "%(time)s degraded on %(count)d days", len(days))
        yield text % {"time": _.duration(sum(days.values())), "count": len(days)}
    if days := strip.seconds.get("maintenance"):
        text = _.ngettext("maintenance on %(count)d day", "maintenance on %(count)d days", len(days))
        yield text % {"count": len(days)}
    if days := strip.seconds.get("blocked"):
        text = _.ngettext("blocked on %(count)d day", "blocked on %(count)d days", len(days))
        yield text % {"count": len(days)}


def message_of(status: str, count: int) -> str:
    """Return what the whole is, in words."""
    return str(MESSAGES[status]) if count else str(NO_CHECKS)


def day_title(date: str, seconds: Iterable[tuple[str, float]], _: Phrases) -> str:
    """Return what a day was that was not plainly healthy: its date, and its seconds by the translations of `OF_DAY`."""
    return f"{date}: {', '.join([text % {'time': _.duration(each)} for text, each in seconds])}"
