"""Says what an objective's numbers mean: what is left, what spent it, when it will be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

if TYPE_CHECKING:
    from django_lifesigns.history.objectives.state import ObjectiveState

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MOST_DAYS_NAMED = 3
# Below this share of the period it is said how much of it is known.
FULL = 0.99


def duration(seconds: float) -> str:
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


def sentence(state: ObjectiveState) -> str:
    """Return one sentence, or a few short ones, about an objective."""
    budget, target = state.budget, state.budget.target
    period = ngettext("%(count)d day", "%(count)d days", target.days) % {"count": target.days}
    if budget.remaining is None:
        return _("Nothing is known of the last %(period)s yet.") % {"period": period}
    values = {
        "budget": duration(budget.seconds),
        "period": period,
        "left": duration(abs(budget.seconds - budget.period.bad_seconds)),
        "percent": f"{100 * budget.remaining:.0f}",
        "known": duration(budget.period.known_seconds),
    }
    if budget.period.bad_seconds <= 0:
        first = _("All of the budget of %(budget)s in %(period)s is left")
    elif budget.remaining > 0:
        first = _("%(left)s of the budget of %(budget)s in %(period)s are left (%(percent)s%%)")
    else:
        first = _("The budget of %(budget)s in %(period)s is overspent by %(left)s")
    parts = [first % values]
    if budget.period.coverage < FULL:
        parts.append(_("it is known for %(known)s so far") % values)
    if state.lost_on:
        parts.append(_("it was lost on %(days)s") % {"days": _days(state)})
    text = f"{'; '.join(parts)}."
    if pace := _pace(state):
        text = f"{text} {pace}"
    return text


def _pace(state: ObjectiveState) -> str:
    budget = state.budget
    if budget.exhausted_in and budget.remaining is not None:
        return _("At the pace of the last hour it is gone in %(time)s.") % {"time": duration(budget.exhausted_in)}
    return ""


def _days(state: ObjectiveState) -> str:
    """Name the days on which most was lost, in order."""
    worst = sorted(state.lost_on, key=lambda day: -state.lost_on[day])[:MOST_DAYS_NAMED]
    # As "3 Nov", in the language of the reader.
    names = [f"{date_format(day, 'j M')} ({duration(state.lost_on[day])})" for day in sorted(worst)]
    more = len(state.lost_on) - len(worst)
    if more:
        names.append(ngettext("%(count)d other day", "%(count)d other days", more) % {"count": more})
    if len(names) == 1:
        return names[0]
    return _("%(days)s and %(last)s") % {"days": ", ".join(names[:-1]), "last": names[-1]}
