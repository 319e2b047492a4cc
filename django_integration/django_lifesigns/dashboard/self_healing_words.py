"""Self-healing as its template gets it: words for states and times."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop as noop

from django_lifesigns.actions.tables import STATE_COLOURS
from django_lifesigns.dashboard.rows import PageContext
from django_lifesigns.dashboard.self_healing import ActionEntry, ActionRunEntry, ActionsEntry

STATES = {
    "running": noop("is running"),
    "verifying": noop("has run, not verified yet"),
    "done": noop("has run"),
    "healed": noop("has helped"),
    "not_healed": noop("has not helped"),
    "unverified": noop("has run, not verified"),
    "failed": noop("has failed"),
    "lost": noop("was interrupted"),
    "would_act": noop("would have acted (dry run)"),
    "stopped": noop("did not run"),
}


def self_healing(entry: ActionsEntry, page: PageContext) -> dict[str, Any]:
    """Return what the template of actions and their runs needs."""
    return {
        "off": entry["off"],
        "actions": [_action(one, page) for one in entry["actions"]],
        "runs": [_run(one, page) for one in entry["runs"]],
    }


def run_in_words(run: ActionRunEntry, page: PageContext) -> str:
    """Return one run in one line."""
    at, why = page.moment(run["at"]), run["text"] or run["reason"]
    return f"{run['name']} {_word(run, page)}: {why} ({at.ago if at else ''})"


def _action(one: ActionEntry, page: PageContext) -> dict[str, Any]:
    _ = page.phrases
    mode = _("dry run") if one["dry_run"] else _("acts")
    if one["disabled_by"]:
        mode = _("disabled by %(by)s") % {"by": one["disabled_by"]}
    return {"action": one, "mode": mode, "last": _run(one["last"], page) if one["last"] else None}


def _run(run: ActionRunEntry, page: PageContext) -> dict[str, Any]:
    colour = STATE_COLOURS.get(run["state"], "degraded")
    return {"run": run, "word": _word(run, page), "colour": colour, "at": page.moment(run["at"])}


def _word(run: ActionRunEntry, page: PageContext) -> str:
    """Return the word for a state; one of another version is its own."""
    word = STATES.get(run["state"])
    return run["state"] if word is None else page.phrases(word)
