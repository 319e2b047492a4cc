"""`manage.py health_check`: runs checks and shows their results, for people and for scripts."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from django_lifesigns.engine import get_engine
from lifesigns import UnknownCheckError

COLOURS = {"healthy": "green", "degraded": "yellow", "error": "red", "unhealthy": "red", "skipped": "dim"}


class Command(BaseCommand):
    """Exit code 0: healthy, or degraded without --strict; 1: degraded with --strict; 2: unhealthy or a wrong call."""

    help = "Run health checks. Exit code 0: healthy, 1: degraded (with --strict), 2: unhealthy."
    # A wrong setting is one of the results; it must not keep the command from showing the others.
    requires_system_checks: list[str] = []  # noqa: RUF012  # BaseCommand's type

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="the checks to run; all, if none is named")
        parser.add_argument("--critical", action="store_true", help="only critical checks")
        parser.add_argument("--format", choices=("table", "json"), default="table", dest="output")
        parser.add_argument("--strict", action="store_true", help="exit with 1 if degraded")

    def handle(self, *, names: list[str], critical: bool, output: str, strict: bool, **_: Any) -> None:
        try:
            report = get_engine().run(names or None, critical_only=critical)
        except UnknownCheckError as error:
            raise CommandError(str(error), returncode=2) from error
        if output == "json":
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self._table(report)
        if report["status"] == "unhealthy":
            sys.exit(2)
        if report["status"] == "degraded" and strict:
            sys.exit(1)

    def _table(self, report: Any) -> None:
        console = Console(file=self.stdout)  # type: ignore[arg-type]  # writes and flushes like a file
        table = Table("Check", "Status", "ms", "Message", box=None, header_style="bold")
        for name, result in report["checks"].items():
            colour = COLOURS[result["status"]]
            status = f"[{colour}]{result['status']}[/{colour}]"
            table.add_row(name, status, f"{result['duration_ms']:.1f}", escape(result["message"]))
        console.print(table)
        summary, colour = report["summary"], COLOURS[report["status"]]
        counts = ", ".join(f"{summary[key]} {key}" for key in ("healthy", "degraded", "errors", "skipped"))
        console.print(f"[{colour}]{report['message']}[/{colour}]: {counts}")
