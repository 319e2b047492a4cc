"""The formats of `health_objectives` that show the state of objectives."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.objectives.budget import PAIRS
from django_lifesigns.history.objectives.state import ObjectiveState
from django_lifesigns.history.reports.alignment import lines

NUMBERS = range(1, 5 + len(PAIRS))


def columns() -> list[str]:
    """Return the header of `cells`."""
    burn = [_("burn %(window)s") % {"window": pair.long} for pair in PAIRS]
    return [_("check"), _("objective %"), _("days"), _("good %"), _("budget left %"), *burn]


def cells(state: ObjectiveState) -> list[str]:
    """Return the numbers of an objective, empty where nothing is known."""
    budget = state.budget
    rates = [budget.burn(pair.long) for pair in PAIRS]
    return [
        state.check,
        f"{budget.target.target:g}",
        str(budget.target.days),
        "" if budget.availability is None else f"{100 * budget.availability:.3f}",
        "" if budget.remaining is None else f"{100 * budget.remaining:.1f}",
        *("" if rate is None else f"{rate:.1f}" for rate in rates),
    ]


def text(states: Sequence[ObjectiveState]) -> str:
    """Write a table, and below it a sentence for each objective."""
    from django_lifesigns.history.objectives.sentence import sentence

    if not states:
        return _("LIFESIGNS['OBJECTIVES'] names no check of this project.") + "\n"
    table = lines([columns(), *map(cells, states)], NUMBERS)
    said = []
    for state in states:
        too_fast = _("It is spent too fast in both %(long)s and %(short)s (%(severity)s).")
        firing = [
            too_fast % {"long": pair.long, "short": pair.short, "severity": pair.severity}
            for pair in state.budget.firing
        ]
        said.append(" ".join([f"{state.check}: {sentence(state)}", *firing]))
    return "\n".join([*table, "", *said]) + "\n"


def json_(states: Sequence[ObjectiveState]) -> str:
    """Write it for programs."""
    return to_json({"objectives": [state.as_dict() for state in states]}, indent=2) + "\n"
