"""`manage.py monitor_health_continuous`: runs and records all checks at intervals, until it is stopped."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.history import recorder
from django_lifesigns.management.base import HealthCommand
from django_lifesigns.management.display import Display, line, only_results
from django_lifesigns.management.schedule import seconds, ticks, until_stopped
from django_lifesigns.management.terminal import in_place
from django_lifesigns.runtime.engine import on_request
from django_lifesigns.service import PATIENCE_SECONDS

FLUSH_SECONDS = 5.0
STATUSES = ("healthy", "degraded", "unhealthy")


class Command(HealthCommand):
    """Continues whatever the checks and the database say."""

    help = lazy("Run all health checks at intervals and record the results, until Ctrl-C or SIGTERM.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the interval, the number of sweeps, and how much is shown."""
        parser.add_argument("--interval", type=seconds, default=60.0, help=_("seconds from start to start (60)"))
        parser.add_argument("--max-iterations", type=int, help=_("stop after so many sweeps (0: never)"))
        quiet = _("only sweeps that are not healthy, and the summary")
        parser.add_argument("--quiet", action="store_true", help=quiet)

    def handle(self, *, interval: float, max_iterations: int | None, quiet: bool, **_options: Any) -> None:
        """Sweep, then write what is left to write, and show a summary."""
        if max_iterations is not None and max_iterations < 0:
            text = _("--max-iterations must be a number from 0, not %(number)d")
            raise CommandError(text % {"number": max_iterations}, returncode=2)
        only_results()
        statuses: Counter[str] = Counter()
        started = time.monotonic()
        with until_stopped():
            self._sweep(interval, max_iterations or None, quiet, statuses)
        recorder.flush(FLUSH_SECONDS)
        self.stdout.write(_summary(statuses, time.monotonic() - started, recorder.waiting()))

    def _sweep(self, interval: float, at_most: int | None, quiet: bool, statuses: Counter[str]) -> None:
        display = Display(self.style, ())
        with in_place(self.stdout, wanted=not quiet) as draw:
            for count in ticks(interval, at_most):
                engine = on_request(PATIENCE_SECONDS).engine
                report = engine.run(refresh=True)
                recorder.record(report, engine, wait=min(PATIENCE_SECONDS, interval / 2))
                statuses[report["status"]] += 1
                if draw:
                    note = _("sweep %(number)d, every %(interval)g s") % {"number": count + 1, "interval": interval}
                    draw(display.live(report, note))
                elif not (quiet and report["status"] == "healthy"):
                    self.stdout.write(line(report))
                    self.stdout.flush()


def _summary(statuses: Counter[str], duration: float, unwritten: int) -> str:
    total = statuses.total()
    text = ngettext("%(count)d sweep in %(duration).0f s", "%(count)d sweeps in %(duration).0f s", total)
    counts = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
    summary = f"{text % {'count': total, 'duration': duration}}: {counts}"
    if not unwritten:
        return summary
    lost = ngettext(
        "%(count)d result could not be written to the history",
        "%(count)d results could not be written to the history",
        unwritten,
    )
    return f"{summary}; {lost % {'count': unwritten}}"
