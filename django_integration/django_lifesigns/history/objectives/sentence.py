"""Says what an objective's numbers mean: what is left, what spent it, when it will be gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

if TYPE_CHECKING:
    from django_lifesigns.history.objectives.state import ObjectiveState

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MOST_DAYS_NAMED = 3
# Below this share of the period it is said how much of it is known.
FULL = 0.99


class Phrases:
    """Texts in the language that is active while it is used: each is looked up once, however many checks have it."""

    def __init__(self) -> None:
        self._texts: dict[object, str] = {}

    def __call__(self, text: str) -> str:
        """Return the translation of a text."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = gettext(text)
        return found

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Return the translation of a text about so many."""
        found = self._texts.get((singular, number))
        if found is None:
            found = self._texts[singular, number] = ngettext(singular, plural, number)
        return found

    def duration(self, seconds: float) -> str:
        """Return a duration, as `duration` has it."""
        total = round(seconds)
        found = self._texts.get(total)
        if found is None:
            found = self._texts[total] = duration(total, self)
        return found

    def day(self, day: date) -> str:
        """Return a day as "3 Nov"."""
        found = self._texts.get(day)
        if found is None:
            found = self._texts[day] = date_format(day, "j M")
        return found


def duration(seconds: float, _: Callable[[str], str] = gettext) -> str:
    """Return a duration in the two largest units that it has: 2 d 4 h, 43 min, 5 s."""
    total = round(seconds)
    if total >= 10 * MINUTE:
        total = round(total / MINUTE) * MINUTE
    if total >= 2 * DAY:
        total = round(total / HOUR) * HOUR
    units = ((DAY, _("d")), (HOUR, _("h")), (MINUTE, _("min")), (1, _("s")))
    parts = []
    for size, unit in units:
        number, total = divmod(total, size)
        if number:
            parts.append(f"{number} {unit}")
        if len(parts) == 2 or (parts and not number):
            break
    return " ".join(parts) or f"0 {_('s')}"


def sentence(state: ObjectiveState, phrases: Phrases | None = None) -> str:
    """Return one sentence, or a few short ones, about an objective."""
    _ = phrases or Phrases()
    budget, target = state.budget, state.budget.target
    period = _.ngettext("%(count)d day", "%(count)d days", target.days) % {"count": target.days}
    if budget.remaining is None:
        return _("Nothing is known of the last %(period)s yet.") % {"period": period}
    bad = budget.period.bad_seconds
    values = {
        "budget": _.duration(budget.seconds),
        "period": period,
        "left": _.duration(abs(budget.seconds - bad)),
        "percent": f"{100 * budget.remaining:.0f}",
    }
    if bad <= 0:
        first = _("All of the budget of %(budget)s in %(period)s is left")
    elif budget.remaining > 0:
        first = _("%(left)s of the budget of %(budget)s in %(period)s are left (%(percent)s%%)")
    else:
        first = _("The budget of %(budget)s in %(period)s is overspent by %(left)s")
    parts = [first % values]
    if budget.period.coverage < FULL:
        known = _.duration(budget.period.known_seconds)
        parts.append(_("it is known for %(known)s so far") % {"known": known})
    if state.lost_on:
        parts.append(_("it was lost on %(days)s") % {"days": _days(state, _)})
    text = f"{'; '.join(parts)}."
    if budget.exhausted_in:
        pace = _("At the pace of the last hour it is gone in %(time)s.")
        text = f"{text} {pace % {'time': _.duration(budget.exhausted_in)}}"
    return text


def _days(state: ObjectiveState, _: Phrases) -> str:
    """Name the days on which most was lost, in order."""
    worst = sorted(state.lost_on, key=lambda day: -state.lost_on[day])[:MOST_DAYS_NAMED]
    names = [f"{_.day(day)} ({_.duration(state.lost_on[day])})" for day in sorted(worst)]
    more = len(state.lost_on) - len(worst)
    if more:
        names.append(_.ngettext("%(count)d other day", "%(count)d other days", more) % {"count": more})
    if len(names) == 1:
        return names[0]
    return _("%(days)s and %(last)s") % {"days": ", ".join(names[:-1]), "last": names[-1]}
