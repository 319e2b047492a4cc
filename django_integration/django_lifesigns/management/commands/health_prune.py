"""`manage.py health_prune`: removes old results, a batch at a time, so that nobody waits for a lock."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone
from rich.progress import Progress

from django_lifesigns.checks.timezones import utc
from django_lifesigns.management.terminal import console
from django_lifesigns.models import HealthCheckLog

BATCH = 10_000


class Command(BaseCommand):
    """Leaves the availability as it is: that is a sum over all time."""

    help = "Remove results of health checks that are older than so many days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="how many days of history stay (30)")
        parser.add_argument("--dry-run", action="store_true", help="only say how many results would be removed")

    def handle(self, *, days: int, dry_run: bool, **_: Any) -> None:
        if days < 0:
            raise CommandError("--days must be at least 0")
        since = timezone.now() - timedelta(days=days)
        old = HealthCheckLog.objects.filter(checked_at__lt=since).order_by("checked_at")
        count = old.count()
        if dry_run:
            self.stdout.write(f"{count} results from before {utc(since):%Y-%m-%d %H:%M} UTC would be removed")
            return
        with Progress(console=console(self.stderr), disable=not self.stderr.isatty(), transient=True) as progress:
            task = progress.add_task("Removing", total=count)
            removed = 0
            while batch := self._remove_some(old):
                removed += batch
                progress.advance(task, batch)
        self.stdout.write(f"{removed} results from before {utc(since):%Y-%m-%d %H:%M} UTC removed")

    def _remove_some(self, old: QuerySet[HealthCheckLog]) -> int:
        """By a range of time, which the index finds, and which every database can delete by."""
        last = old.values_list("checked_at", flat=True)[BATCH - 1 : BATCH].first()
        batch = old if last is None else old.filter(checked_at__lte=last)
        return batch.order_by().delete()[0]
