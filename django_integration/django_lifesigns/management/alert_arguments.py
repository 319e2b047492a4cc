"""The arguments of `manage.py health_alert`: an action, and its options."""

from __future__ import annotations

import argparse
import getpass
from argparse import ArgumentParser

from django.utils.translation import gettext as _

from django_lifesigns.alerts.tables import Severity

LONGEST_HOURS = 24 * 366


def add_actions(parser: ArgumentParser) -> None:
    """Add the actions, each with its options."""
    actions = parser.add_subparsers(dest="action", required=True, help=_("what to do"))

    def add(name: str, text: str) -> ArgumentParser:
        action: ArgumentParser = actions.add_parser(name, help=text, description=text)
        action.add_argument("--format", choices=("text", "json"), default="text", dest="output")
        return action

    listed = add("list", _("show open incidents and silences"))
    listed.add_argument("--all", action="store_true", dest="whole", help=_("also incidents that are over"))
    tested = add("test", _("send the alert of a test incident, and its end"))
    tested.add_argument("--channel", action="append", dest="channels", help=_("one of CHANNELS (all)"))
    silenced = add("silence", _("silence checks from now on, or end a silence"))
    which = silenced.add_mutually_exclusive_group(required=True)
    which.add_argument("--check", dest="checks", metavar="GLOB", help=_("the name of a check, or a pattern"))
    which.add_argument("--end", metavar="ID", help=_("end this silence"))
    silenced.add_argument("--severity", choices=Severity.values, default="", help=_("only of this severity"))
    silenced.add_argument("--group", default="", help=_("only checks of this group"))
    silenced.add_argument("--hours", type=_hours, default=1.0, help=_("for how long (1)"))
    acknowledged = add("acknowledge", _("send no more reminders of an incident"))
    acknowledged.add_argument("check", metavar="CHECK", help=_("the check whose incident is meant"))
    for action in (silenced, acknowledged):
        action.add_argument("--comment", default="", help=_("why"))
        action.add_argument("--author", default=user(), help=_("who (the user of the system)"))
    retried = add("retry", _("deliver again what was refused or has failed"))
    retried.add_argument("checks", nargs="*", metavar="CHECK", help=_("only of incidents of these checks"))


def _hours(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST_HOURS:
        message = _("must be a number of hours above 0, at most %(most)d, not %(text)r")
        raise argparse.ArgumentTypeError(message % {"most": LONGEST_HOURS, "text": text})
    return value


def user() -> str:
    """Return the user of the system, as the author of what a command does."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return "manage.py"
