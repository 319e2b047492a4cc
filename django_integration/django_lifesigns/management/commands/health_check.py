"""`manage.py health_check`: runs checks and shows their results, for people and for scripts."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.live import Live

from django_lifesigns.management.schedule import beats, seconds, until_stopped
from django_lifesigns.management.terminal import console, live, only_results, table
from django_lifesigns.runtime.engine import on_request
from django_lifesigns.service import PATIENCE_SECONDS
from lifesigns import UnknownCheckError
from lifesigns.results import Report


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
        parser.add_argument(
            "--watch",
            nargs="?",
            type=seconds,
            const=2.0,
            metavar="SECONDS",
            help="go on every so many seconds (2) until Ctrl-C; the exit code is that of the last time",
        )

    def handle(
        self, *, names: list[str], critical: bool, output: str, strict: bool, watch: float | None, **_: Any
    ) -> None:
        def sweep() -> Report:
            return on_request(PATIENCE_SECONDS).engine.run(names or None, critical_only=critical)

        only_results()
        try:
            report = sweep()
        except UnknownCheckError as error:
            raise CommandError(str(error), returncode=2) from error
        if watch is None:
            self._show(report, output)
        else:
            with until_stopped():
                for report in self._watch(sweep, watch, output):  # noqa: B007  # the last one counts
                    pass
        if report["status"] == "unhealthy":
            sys.exit(2)
        if report["status"] == "degraded" and strict:
            sys.exit(1)

    def _watch(self, sweep: Callable[[], Report], interval: float, output: str) -> Iterator[Report]:
        in_place = output == "table" and self.stdout.isatty()
        with Live(console=console(self.stdout), auto_refresh=False) if in_place else nullcontext() as screen:
            for _ in beats(interval):
                report = sweep()
                if screen:
                    screen.update(live(report, f"every {interval:g} s"), refresh=True)
                else:
                    self._show(report, output, lines=True)
                yield report

    def _show(self, report: Report, output: str, *, lines: bool = False) -> None:
        if output == "json":
            self.stdout.write(json.dumps(report, indent=None if lines else 2))
        else:
            console(self.stdout).print(table(report))
