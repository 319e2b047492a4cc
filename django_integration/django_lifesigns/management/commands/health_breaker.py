"""`manage.py health_breaker`: shows circuit breakers and overrules them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from django_lifesigns.management.terminal import console
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.runtime.sharing import scope
from django_lifesigns.settings.conf import read
from lifesigns import Breaker, UnknownCheckError

ACTIONS = {"reset": Breaker.reset, "force-open": Breaker.force_open, "force-close": Breaker.force_closed}
ALONE = (
    "LIFESIGNS['SHARE'] is 'process': every process has circuit breakers of its own, and this was that of the command. "
    "Inside a process: django_lifesigns.runtime.engine.get_engine().breaker(NAME)."
)


class Command(BaseCommand):
    """Acts on all processes of the project on this host, unless `SHARE` says that each is on its own."""

    help = "List the circuit breakers of health checks, reset them, or force them open or closed."
    requires_system_checks: list[str] = []  # noqa: RUF012  # BaseCommand's type

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["list", *ACTIONS])
        parser.add_argument("names", nargs="*", metavar="NAME", help="the checks whose circuit breakers are meant")

    def handle(self, *, action: str, names: list[str], **_: Any) -> None:
        if action != "list" and not names:
            raise CommandError(f"{action} needs the NAME of a check: {', '.join(self._breakers([]))}", returncode=2)
        breakers = self._breakers(names)
        if action != "list":
            for breaker in breakers.values():
                ACTIONS[action](breaker)
            if not scope(read()):
                self.stderr.write(self.style.WARNING(ALONE))
        rows = Table("Check", "State", "Decided by", "Next attempt in s", box=None, header_style="bold")
        for name, breaker in breakers.items():
            wait = breaker.retry_after
            rows.add_row(name, breaker.state, breaker.mode, "" if wait is None else f"{wait:.0f}")
        console(self.stdout).print(rows)

    def _breakers(self, names: list[str]) -> dict[str, Breaker]:
        """Those of the names; of all checks that have one, if none is named."""
        engine = get_engine()
        found = {}
        for name in names or engine.names:
            try:
                found[name] = engine.breaker(name)
            except UnknownCheckError as error:
                raise CommandError(str(error), returncode=2) from error
            except ValueError as error:
                if names:
                    raise CommandError(str(error), returncode=2) from error
        return found
