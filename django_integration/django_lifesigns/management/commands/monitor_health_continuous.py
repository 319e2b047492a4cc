"""`manage.py monitor_health_continuous`: sweeps at intervals and keeps what comes of them, until it is stopped."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import Counter
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.live import Live

from django_lifesigns.history import recorder
from django_lifesigns.management.schedule import beats, seconds, until_stopped
from django_lifesigns.management.terminal import console, line, live, only_results
from django_lifesigns.runtime.engine import on_request
from django_lifesigns.service import PATIENCE_SECONDS

FLUSH_SECONDS = 5.0


class Command(BaseCommand):
    """Goes on whatever the checks and the database say."""

    help = "Run all health checks at intervals and keep the results, until Ctrl-C or SIGTERM."
    requires_system_checks: list[str] = []  # noqa: RUF012  # BaseCommand's type

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--interval", type=seconds, default=60.0, help="seconds from start to start (60)")
        parser.add_argument("--max-iterations", type=int, help="stop after so many sweeps")
        parser.add_argument("--quiet", action="store_true", help="only sweeps that are not healthy, and the summary")

    def handle(self, *, interval: float, max_iterations: int | None, quiet: bool, **_: Any) -> None:
        if max_iterations is not None and max_iterations < 1:
            raise CommandError("--max-iterations must be at least 1")
        only_results()
        statuses: Counter[str] = Counter()
        began = time.monotonic()
        with until_stopped():
            self._sweep(interval, max_iterations, quiet, statuses)
        written = recorder.flush(FLUSH_SECONDS)
        counts = ", ".join(f"{statuses[status]} {status}" for status in ("healthy", "degraded", "unhealthy"))
        history = "" if written else f"; the history lacks {recorder.waiting()} results, the database takes none"
        took = time.monotonic() - began
        self.stdout.write(f"{statuses.total()} sweeps in {took:.0f} s: {counts}{history}")

    def _sweep(self, interval: float, at_most: int | None, quiet: bool, statuses: Counter[str]) -> None:
        in_place = self.stdout.isatty() and not quiet
        with Live(console=console(self.stdout), auto_refresh=False) if in_place else nullcontext() as screen:
            for count in beats(interval, at_most):
                engine = on_request(PATIENCE_SECONDS).engine
                report = engine.run(refresh=True)
                recorder.record(report, engine, wait=min(PATIENCE_SECONDS, interval / 2))
                statuses[report["status"]] += 1
                if screen:
                    screen.update(live(report, f"sweep {count + 1}, every {interval:g} s"), refresh=True)
                elif not (quiet and report["status"] == "healthy"):
                    self.stdout.write(line(report))
                    self.stdout.flush()
