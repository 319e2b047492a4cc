"""`manage.py health_breaker`: shows circuit breakers, forces their state and disables them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_lifesigns.management.base import HealthCommand, unknown_checks
from django_lifesigns.management.terminal import Block, Table, show
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.runtime.sharing import scope
from django_lifesigns.settings.conf import read
from lifesigns import Breaker

ACTIONS = {
    "reset": Breaker.reset,
    "force-open": Breaker.force_open,
    "force-close": Breaker.force_closed,
    "disable": Breaker.disable,
}
ALONE = gettext_lazy(
    "LIFESIGNS['SHARE'] is 'process': every process has circuit breakers of its own, and this was that of the command. "
    "Inside a process: django_lifesigns.runtime.engine.get_engine().breaker(NAME)."
)
SKIPPED = gettext_lazy(
    "%(name)s is skipped, and stays so: it never runs, whatever its circuit breaker says (%(reason)s)."
)
STYLES = {"closed": "SUCCESS", "half-open": "WARNING", "open": "ERROR"}
STATE, WAIT = 1, 3


class Command(HealthCommand):
    """Acts on all processes of the project on this host, unless `SHARE` says that each is on its own."""

    state_column, state_styles = STATE, STYLES
    help = gettext_lazy(
        "List the circuit breakers of health checks, reset them, force them open or closed, or disable them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the action and the names."""
        parser.add_argument("action", choices=["list", *ACTIONS])
        parser.add_argument("names", nargs="*", metavar="NAME", help=_("the checks whose circuit breakers are meant"))

    def handle(self, *, action: str, names: list[str], **_options: Any) -> None:
        """Do what is wanted, and show the circuit breakers as they are then."""
        if action != "list" and not names:
            text = _("%(action)s needs the NAME of a check: %(names)s")
            known = ", ".join(self._breakers([]))
            raise CommandError(text % {"action": action, "names": known}, returncode=2)
        breakers = self._breakers(names)
        if action != "list":
            for breaker in breakers.values():
                ACTIONS[action](breaker)
            if not scope(read()):
                self.stderr.write(self.style.WARNING(str(ALONE)))
            for name in breakers:
                self._mention_skipped(name)
        rows = [[_("Check"), _("State"), _("Decided by"), _("Next attempt in s")]]
        for name, breaker in breakers.items():
            wait = breaker.retry_after
            rows.append([name, breaker.state, breaker.mode, "" if wait is None else f"{wait:.0f}"])
        show(self.stdout, Block(Table(rows, (WAIT,), self._paint)))

    def _mention_skipped(self, name: str) -> None:
        result: Any = get_engine().check(name, deadline=0)
        if result["status"] == "skipped":
            text = str(SKIPPED) % {"name": name, "reason": result["message"]}
            self.stderr.write(self.style.WARNING(text))

    def _breakers(self, names: list[str]) -> dict[str, Breaker]:
        """Return those of the names, or of all checks that have one."""
        engine = get_engine()
        unknown_checks(names, engine.names)
        found = {}
        for name in names or engine.names:
            try:
                found[name] = engine.breaker(name)
            except ValueError as error:
                if names:
                    raise CommandError(str(error), returncode=2) from error
        return found
