"""`manage.py health_action`: shows actions and what they did, runs one, disables and enables them."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.actions.exchange import switch
from django_lifesigns.actions.tables import ALL, ActionRun
from django_lifesigns.management.alert_arguments import user
from django_lifesigns.management.base import HealthCommand, require_history
from django_lifesigns.management.incidents import WITHIN, json_with_times
from django_lifesigns.management.terminal import Block, Paint, Table, show
from django_lifesigns.runtime.engine import get_runtime
from django_lifesigns.settings.problems import did_you_mean

# Seconds that a process has to take what is to run, and some more.
TAKEN_SECONDS = 12.0
POLL_SECONDS = 0.2
SHOWN = 20
BAD = frozenset(["failed", "lost", "not_healed", "stopped"])
STYLES = {"healed": "SUCCESS", "done": "SUCCESS", "would_act": "WARNING", **dict.fromkeys(BAD, "ERROR")}
STATE = 2


class Command(HealthCommand):
    """Acts on the processes of this host by their store, where they share one, and on all others by the tables, which
    each process reads every 10 s."""

    state_column, state_styles = STATE, STYLES
    help = lazy("Show actions and what they did, run one, and disable or enable them.")
    model = ActionRun

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what can be done, each with its options."""
        actions = parser.add_subparsers(dest="what", required=True, help=_("what to do"))

        def add(name: str, text: str) -> ArgumentParser:
            action: ArgumentParser = actions.add_parser(name, help=text, description=text)
            action.add_argument("--format", choices=("text", "json"), default="text", dest="output")
            return action

        add("list", _("show the actions, and what they did in the last 24 hours"))
        run = add("run", _("run an action once, in the first process that can, also one that is a dry run"))
        run.add_argument("name", metavar="NAME", help=_("the action"))
        for name, text in (("enable", _("let actions run again")), ("disable", _("keep actions from running"))):
            switched = add(name, text)
            switched.add_argument("name", metavar="NAME", nargs="?", help=_("the action (all of them)"))
        for one in actions.choices.values():
            one.add_argument("--author", default=user(), help=_("who (the user of the system)"))

    def handle(self, *, what: str, **options: Any) -> None:
        """Do what is wanted."""
        self._engine = get_runtime().engine
        if not get_runtime().has_actions:
            raise CommandError(_("LIFESIGNS['ACTIONS'] names none that can be used."), returncode=2)
        do: Callable[..., None] = getattr(self, f"_{what}")
        do(**options)

    def _list(self, *, output: str, **_options: Any) -> None:
        found, entries = self._engine.actions(), self._engine.action_log()
        if output == "json":
            self.stdout.write(json_with_times({**found, "log": entries}))
            return
        parts: list[str | Table] = [action_table(found["actions"], self._paint)]
        if found["off"]:
            parts = [self.style.ERROR(_("Switched off by %(by)s") % {"by": found["off"]}), *parts]
        if entries:
            parts += ["", log_table(entries[-SHOWN:], self._paint)]
        show(self.stdout, Block(*parts))

    def _run(self, *, name: str, author: str, output: str, **_options: Any) -> None:
        self._refuse_unknown(name)
        before = {entry["id"] for entry in self._engine.action_log()}
        try:
            self._engine.run_action(name, author)
        except (ValueError, TimeoutError) as error:
            raise CommandError(str(error), returncode=2) from error
        self._engine.resume()
        entry = self._await(name, before)
        if entry is None:
            raise CommandError(_("No process has taken it: none runs, or none can run this action."), returncode=2)
        if output == "json":
            self.stdout.write(json_with_times(entry))
        else:
            self.stdout.write(self._paint(1, STATE, entry["state"]) + f": {entry['in_words']}")
        if entry["state"] in BAD:
            raise SystemExit(2)

    def _await(self, name: str, before: set[str]) -> Mapping[str, Any] | None:
        """Return the new entry of an action once it has run, or None where no process has taken it."""
        (timeout,) = (one["timeout"] for one in self._engine.actions()["actions"] if one["name"] == name)
        taken_until = time.monotonic() + TAKEN_SECONDS
        end = taken_until + timeout
        while True:
            new = [one for one in self._engine.action_log() if one["name"] == name and one["id"] not in before]
            by_hand = [one for one in new if one["cause"] == "person"]
            if by_hand and (by_hand[-1]["state"] != "running" or time.monotonic() >= end):
                return by_hand[-1]
            if not by_hand and time.monotonic() >= taken_until:
                return None
            time.sleep(POLL_SECONDS)

    def _enable(self, *, name: str | None, author: str, output: str, **_options: Any) -> None:
        self._switch(name, True, author, output)

    def _disable(self, *, name: str | None, author: str, output: str, **_options: Any) -> None:
        self._switch(name, False, author, output)

    def _switch(self, name: str | None, is_on: bool, author: str, output: str) -> None:
        if name is not None:
            self._refuse_unknown(name)
        try:
            self._engine.switch_action(name, is_on, author)
        except TimeoutError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            require_history(ActionRun, WITHIN)
            switch(name or ALL, is_on=is_on, author=author)
        except (Error, ImproperlyConfigured, CommandError) as error:
            text = _("The tables of actions cannot be written (%(error)s): other hosts do not follow.")
            why = type(error.__cause__ or error).__name__
            self.stderr.write(self.style.WARNING(text % {"error": why}))
        if output == "json":
            self.stdout.write(json_with_times({"name": name or ALL, "is_on": is_on}))
            return
        text = _("%(name)s enabled") if is_on else _("%(name)s disabled")
        self.stdout.write(text % {"name": name or _("All actions")})

    def _refuse_unknown(self, name: str) -> None:
        known = [one["name"] for one in self._engine.actions()["actions"]]
        if name not in known:
            text = _("Unknown action %(name)r.") % {"name": name}
            raise CommandError(f"{text} {did_you_mean(name, known)}", returncode=2)


def action_table(actions: list[Mapping[str, Any]], paint: Paint) -> Table:
    """Return a row for each action."""
    header = [_("Name"), _("Action"), _("When"), _("Limit"), _("Then"), _("Mode")]
    rows = []
    for one in actions:
        when = one["when"]
        due = f"{when['check']} {when['status']} {when['runs']}x, {when['seconds']:g} s" if when else ""
        limit = f"{one['limit']['per_hour']}/h, {one['limit']['per_incident']}/incident"
        mode = _("dry run") if one["dry_run"] else _("acts")
        if one["disabled_by"]:
            mode = _("disabled by %(by)s") % {"by": one["disabled_by"]}
        rows.append([one["name"], one["action"], due, limit, one["then"] or "", mode])
    return Table([header, *rows], (), paint)


def log_table(entries: list[dict[str, Any]], paint: Paint) -> Table:
    """Return a row for each time that an action ran or was stopped, the newest first."""
    header = [_("At"), _("Name"), _("State"), _("What")]
    rows = [
        [time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one["at"])), one["name"], one["state"], one["in_words"]]
        for one in reversed(entries)
    ]
    return Table([header, *rows], (), paint)
