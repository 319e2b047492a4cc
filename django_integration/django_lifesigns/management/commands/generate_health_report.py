"""`manage.py generate_health_report`: a report on the results of the last hours, for people and for programs."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.reports.collect import collect, slices
from django_lifesigns.history.reports.formats import FORMATS
from django_lifesigns.history.reports.in_time import complete
from django_lifesigns.management.base import HealthCommand, require_history
from django_lifesigns.management.terminal import progress
from django_lifesigns.runtime.engine import get_runtime

# A hundred years: more is a slip, and past what dates can hold.
MOST_HOURS = 876_000
# By the suffix of the file, where no format is named; text by any other.
SUFFIXES = {".json": "json", ".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown", ".csv": "csv"}


class Command(HealthCommand):
    """Reads only."""

    help = lazy("Report on the history of health checks.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the time, the format and the file."""
        parser.add_argument("--hours", type=float, default=24.0, help=_("how far back (24)"))
        by_suffix = _("by default that of the suffix of --output, or text")
        parser.add_argument("--format", choices=list(FORMATS), dest="output_format", help=by_suffix)
        parser.add_argument("--output", metavar="PATH", help=_("write to this file, which is never there in part"))

    def handle(self, *, hours: float, output_format: str | None, output: str | None, **_options: Any) -> None:
        """Read the history and write the report."""
        if not 0 < hours <= MOST_HOURS:
            text = _("--hours must be a number above 0, at most %(most)d, not %(hours)g")
            raise CommandError(text % {"most": MOST_HOURS, "hours": hours}, returncode=2)
        form = output_format or SUFFIXES.get(os.path.splitext(output or "")[1].lower(), "text")
        require_history()
        until = timezone.now()
        since = until - timedelta(hours=hours)
        with progress(self.stderr, _("Reading the history"), len(slices(since, until))) as advance:
            history = collect(since, until, lambda: advance(1))
        runtime = get_runtime()
        report = FORMATS[form](complete(history, runtime.engine, runtime.conf.max_stale))
        if output is None:
            self.stdout.write(report, ending="")
            return
        try:
            write_whole(output, report)
        except OSError as error:
            names = {"path": output, "reason": error.strerror}
            raise CommandError(_("%(path)s cannot be written: %(reason)s") % names) from error
        self.stdout.write(_("%(path)s written") % {"path": output})


def write_whole(path: str, text: str) -> None:
    """Write a file beside it that then takes its place, so that no reader finds half a report."""
    if os.path.exists(path) and not os.path.isfile(path):
        # /dev/stdout, a pipe: it must not be replaced by a file, which root could do.
        with open(path, "w", encoding="utf-8", newline="") as out:
            out.write(text)
        return
    path = os.path.realpath(path)  # a link stays one
    beside = f"{path}.{os.getpid()}.part"
    try:
        with open(beside, "x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)
