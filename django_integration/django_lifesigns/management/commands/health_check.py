"""`manage.py health_check`: runs checks and shows their results, for people and for scripts."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.json_text import to_json
from django_lifesigns.management.base import HealthCommand, unknown_checks
from django_lifesigns.management.display import Display, only_results, only_unreported, without_problems
from django_lifesigns.management.schedule import seconds, ticks, until_stopped
from django_lifesigns.management.terminal import in_place, show
from django_lifesigns.runtime.engine import Runtime, on_request
from django_lifesigns.runtime.groups import setting_of
from django_lifesigns.service import PATIENCE_SECONDS
from django_lifesigns.settings.problems import did_you_mean, sentences
from lifesigns.results import Report

WATCH_SECONDS = 2.0


class Command(HealthCommand):
    """Exit code 0: healthy, or degraded without --strict; 1: degraded with --strict; 2: unhealthy or a wrong call."""

    help = lazy("Run health checks. Exit code 0: healthy, 1: degraded (with --strict), 2: unhealthy.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the names, what is run, and how it is shown."""
        parser.add_argument("names", nargs="*", metavar="NAME", help=_("the checks to run (default: all)"))
        parser.add_argument("--critical", action="store_true", help=_("only critical checks"))
        parser.add_argument(
            "--group", help=_("the checks of this group of LIFESIGNS['GROUPS'], by its own criticality")
        )
        parser.add_argument(
            "--cached",
            action="store_true",
            help=_("show what the processes of this project know where that is fresh, in place of running each check"),
        )
        parser.add_argument("--all", action="store_true", dest="unfolded", help=_("show each skipped check and why"))
        parser.add_argument("--format", choices=("table", "text", "json"), default="table", dest="output")
        parser.add_argument("--strict", action="store_true", help=_("exit with 1 if degraded"))
        parser.add_argument(
            "--watch",
            nargs="?",
            type=seconds,
            const=WATCH_SECONDS,
            metavar="SECONDS",
            help=_(
                "repeat every so many seconds (%(seconds)g) until Ctrl-C; the exit code is that of the last time. "
                "APIs that cost money are called each time, too: name the checks, or add --cached"
            )
            % {"seconds": WATCH_SECONDS},
        )

    def handle(
        self,
        *,
        names: list[str],
        critical: bool,
        group: str | None,
        cached: bool,
        unfolded: bool,
        output: str,
        strict: bool,
        watch: float | None,
        **_options: Any,
    ) -> None:
        """Run the checks, once or repeatedly, and exit with the code of the last report."""

        def sweep() -> Report:
            runtime = on_request(PATIENCE_SECONDS)
            return runtime.engine.run(names or None, critical_only=critical, refresh=not cached, group=group)

        only_results()
        without_problems()
        runtime = on_request(PATIENCE_SECONDS)
        for problem in only_unreported(runtime.problems):
            self.stderr.write(problem)
        unknown_checks(names, runtime.engine.names)
        if group is None:
            marked = {runtime.names.get(key, key) for key in runtime.critical}
        else:
            marked = set(_critical_in(group, names, runtime))
        # Who names a check wants to see it.
        display = Display(self.style, marked, unfolded=unfolded or bool(names))
        report: Report | None = None
        if watch is None:
            report = sweep()
            self._show(report, output, display)
        else:
            with until_stopped():
                for report in self._watch(sweep, watch, output, display):  # noqa: B007  # the last one counts
                    pass
        # Stopped before the first result: nothing says that it is healthy.
        status = report["status"] if report else "unhealthy"
        if status == "unhealthy":
            sys.exit(2)
        if status == "degraded" and strict:
            sys.exit(1)

    def _watch(self, sweep: Callable[[], Report], interval: float, output: str, display: Display) -> Iterator[Report]:
        with in_place(self.stdout, wanted=output == "table") as draw:
            for _tick in ticks(interval):
                report = sweep()
                if draw:
                    draw(display.live(report, _("every %(interval)g s") % {"interval": interval}))
                elif output == "table":
                    show(self.stdout, display.live(report, report["timestamp"]))
                    self.stdout.write("")
                else:
                    self._show(report, output, display, lines=True)
                yield report

    def _show(self, report: Report, output: str, display: Display, *, lines: bool = False) -> None:
        if output == "json":
            self.stdout.write(to_json(report, indent=None if lines else 2))
        elif output == "text":
            self.stdout.write(display.text(report))
        else:
            show(self.stdout, display.table(report))
        self.stdout.flush()


def _critical_in(group: str, names: list[str], runtime: Runtime) -> tuple[str, ...]:
    """Return the names of what is critical in a group. CommandError where there is no such one, or names beside it."""
    engine = runtime.engine
    if names:
        raise CommandError(_("--group and names of checks exclude each other."), returncode=2)
    wrong = [problem.message for problem in runtime.problems if problem.message.startswith(setting_of(group))]
    if group not in engine.groups and group in runtime.conf.groups and wrong:
        text = _("The group %(name)r is not usable: %(reason)s")
        raise CommandError(text % {"name": group, "reason": sentences(*wrong)}, returncode=2)
    if group not in engine.groups:
        nearest = did_you_mean(group, engine.groups) if engine.groups else _("LIFESIGNS['GROUPS'] names none.")
        raise CommandError(f"{_('Unknown group %(name)r.') % {'name': group}} {nearest}", returncode=2)
    return engine.names_of(group, critical_only=True)
