"""`manage.py health_alert`: shows incidents, tries channels, silences, acknowledges, delivers notices again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.plausibility import subjects
from django_lifesigns.alerts.tables import Incident
from django_lifesigns.management.alert_actions import AlertActions
from django_lifesigns.management.alert_arguments import add_actions
from django_lifesigns.management.base import HealthCommand, unknown_checks
from django_lifesigns.management.incidents import Known, incident_table, json_with_times, silence_table
from django_lifesigns.management.terminal import Block, Table, show
from django_lifesigns.runtime.engine import get_runtime
from django_lifesigns.settings.alerts import place_of_channel
from django_lifesigns.settings.problems import did_you_mean

STYLES = {
    "firing": "ERROR",
    "flapping": "ERROR",
    "acknowledged": "WARNING",
    "resolving": "WARNING",
    "resolved": "SUCCESS",
}
STATE = 1
FAILED = frozenset(["failed", "refused"])


class Command(HealthCommand):
    """Acts on the processes of this host by their store, where they share one, and on all others by the tables, which
    each host reads every 10 s."""

    state_column, state_styles = STATE, STYLES
    help = lazy("Show incidents, try channels, silence, acknowledge, and have notices delivered again.")
    model = Incident

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the actions, each with its options."""
        add_actions(parser)

    def handle(self, *, action: str, **options: Any) -> None:
        """Do what is wanted."""
        self._runtime = get_runtime()
        self._actions = AlertActions(self._runtime)
        do: Callable[..., None] = getattr(self, f"_{action}")
        do(**options)

    def _list(self, *, whole: bool, output: str, **_options: Any) -> None:
        known = self._find()
        incidents = list(known.incidents.values()) if whole else known.is_open
        if output == "json":
            self.stdout.write(json_with_times({"incidents": incidents, "silences": list(known.silences.values())}))
            return
        parts: list[str | Table] = [incident_table(incidents, self._paint)] if incidents else [_("No open incidents.")]
        if known.silences:
            parts += ["", silence_table(known.silences.values(), self._paint)]
        show(self.stdout, Block(*parts))

    def _test(self, *, channels: list[str] | None, output: str, **_options: Any) -> None:
        known = self._runtime.channels
        none = _("LIFESIGNS['ALERTS']['CHANNELS'] names none that can be used.")
        for name in channels or ():
            wrong = (one.message for one in self._runtime.problems if one.message.startswith(place_of_channel(name)))
            if name not in known and (why := next(wrong, "")):
                raise CommandError(f"{_('Channel %(name)r is left out.') % {'name': name}} {why}", returncode=2)
            if name not in known:
                nearest = did_you_mean(name, known) if known else none
                raise CommandError(f"{_('Unknown channel %(name)r.') % {'name': name}} {nearest}", returncode=2)
        if not known:
            raise CommandError(none, returncode=2)
        found = {name: self._runtime.engine.test_channel(name) for name in channels or known}
        if output == "json":
            self.stdout.write(json_with_times(found))
        for name, attempt in found.items() if output == "text" else ():
            style = self.style.SUCCESS if attempt["state"] == "delivered" else self.style.ERROR
            self.stdout.write(style(f"{name}: {attempt['state']} ({attempt['answer']})"))
        if any(attempt["state"] != "delivered" for attempt in found.values()):
            raise SystemExit(2)

    def _silence(
        self,
        *,
        checks: str | None,
        end: str | None,
        severity: str,
        group: str,
        hours: float,
        author: str,
        comment: str,
        output: str,
        **_options: Any,
    ) -> None:
        if end is not None:
            self._end(end, output)
            return
        self._refuse_unknown(str(checks), group)
        given: Mapping[str, Any] = {"author": author, "comment": comment, "severity": severity, "group": group}
        row = operations.new_silence(str(checks), duration=timedelta(hours=hours), **given)
        try:
            row.full_clean(validate_unique=False)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from error
        try:
            unreached = self._actions.silence(row)
        except ValueError as error:  # there are too many
            raise CommandError(str(error), returncode=2) from error
        text = _("%(checks)s silenced until %(end)s (%(id)s)")
        named = {"checks": checks, "end": f"{row.ends_at:%Y-%m-%d %H:%M %Z}", "id": row.pk}
        self._report({"id": row.pk}, text % named, output, unreached)

    def _end(self, identifier: str, output: str) -> None:
        known = self._find()
        if identifier not in known.silences:
            nearest = did_you_mean(identifier, known.silences) if known.silences else _("There is none.")
            text = _("No silence that lasts has the id %(id)r.") % {"id": identifier}
            raise CommandError(f"{text} {nearest}", returncode=2)
        unreached = self._actions.end(identifier)
        self._report({"id": identifier}, _("Silence %(id)s ended") % {"id": identifier}, output, unreached)

    def _acknowledge(self, *, check: str, author: str, comment: str, output: str, **_options: Any) -> None:
        known = self._find()
        if not any(found["check"] == check for found in known.is_open):
            names = {found["check"] for found in known.is_open}
            nearest = did_you_mean(check, names) if names else _("There are no open incidents.")
            text = _("No open incident of %(check)r.") % {"check": check}
            raise CommandError(f"{text} {nearest}", returncode=2)
        unreached = self._actions.acknowledge(check, author, comment)
        self._report({"check": check}, _("%(check)s acknowledged") % {"check": check}, output, unreached)

    def _retry(self, *, checks: list[str], output: str, **_options: Any) -> None:
        known = self._find()
        incidents = [found for found in known.incidents.values() if not checks or found["check"] in checks]
        failed = [found["id"] for found in incidents if any(one["state"] in FAILED for one in found["deliveries"])]
        unreached = self._actions.retry(failed)
        text = ngettext("%(count)d incident is retried", "%(count)d incidents are retried", len(failed))
        self._report({"incidents": failed}, text % {"count": len(failed)}, output, unreached)

    def _find(self) -> Known:
        known = self._actions.find()
        if known.unreadable and self._actions.shared is None:
            text = _("No store is shared, and the tables of incidents cannot be read (%(error)s).")
            raise CommandError(text % {"error": known.unreadable}, returncode=2)
        if known.unreadable:
            text = _("The tables of incidents cannot be read (%(error)s): these are those of this host.")
            self.stderr.write(self.style.WARNING(text % {"error": known.unreadable}))
        return known

    def _report(self, facts: Mapping[str, Any], text: str, output: str, unreached: str) -> None:
        if unreached:
            warning = _("The tables of incidents cannot be written (%(error)s): other hosts follow once they can.")
            self.stderr.write(self.style.WARNING(warning % {"error": unreached}))
        if output == "json":
            self.stdout.write(json_with_times(facts))
        else:
            self.stdout.write(text)

    def _refuse_unknown(self, checks: str, group: str) -> None:
        """Raise CommandError for a name that is none; a pattern may match what comes later."""
        engine = self._runtime.engine
        exact = [name.strip() for name in checks.split(",") if not set("*?") & set(name)]
        unknown_checks(exact, subjects(engine.names))
        if group and group not in engine.groups:
            nearest = did_you_mean(group, engine.groups) if engine.groups else _("LIFESIGNS['GROUPS'] names none.")
            raise CommandError(f"{_('Unknown group %(name)r.') % {'name': group}} {nearest}", returncode=2)
