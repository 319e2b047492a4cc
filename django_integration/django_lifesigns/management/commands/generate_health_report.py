"""`manage.py generate_health_report`: what the checks did in the last hours, for people and for programs."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.progress import Progress

from django_lifesigns.history.reports.collect import collect, slices
from django_lifesigns.history.reports.formats import FORMATS
from django_lifesigns.management.terminal import console

# A hundred years: more is a slip, and past what dates can hold.
MOST_HOURS = 876_000


class Command(BaseCommand):
    """Reads only."""

    help = "Report on the history of health checks."
    requires_system_checks: list[str] = []  # noqa: RUF012  # BaseCommand's type

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hours", type=float, default=24.0, help="how far back (24)")
        parser.add_argument("--format", choices=list(FORMATS), default="text", dest="output_format")
        parser.add_argument("--output", metavar="PATH", help="write to this file, which is whole or not there")

    def handle(self, *, hours: float, output_format: str, output: str | None, **_: Any) -> None:
        if not 0 < hours <= MOST_HOURS:
            raise CommandError(f"--hours must be a number above 0, at most {MOST_HOURS}")
        until = timezone.now()
        since = until - timedelta(hours=hours)
        with Progress(console=console(self.stderr), disable=not self.stderr.isatty(), transient=True) as progress:
            task = progress.add_task("Reading the history", total=len(slices(since, until)))
            report = FORMATS[output_format](collect(since, until, lambda: progress.advance(task)))
        if output is None:
            self.stdout.write(report, ending="")
        else:
            try:
                write_whole(output, report)
            except OSError as error:
                raise CommandError(f"{output} cannot be written: {error.strerror}") from error
            self.stdout.write(f"{output} written")


def write_whole(path: str, text: str) -> None:
    """Writes a file beside it and lets that take its place: nobody ever reads half a report."""
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
