"""`manage.py health_rollup`: rolls up results that were recorded before roll-ups were kept."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.history.log_every import log_every
from django_lifesigns.history.rollups.backfill import backfill, holds, logged_checks
from django_lifesigns.management.base import HealthCommand, require_history
from django_lifesigns.management.terminal import progress
from django_lifesigns.models import HealthCheckLog
from django_lifesigns.runtime.engine import get_runtime


class Command(HealthCommand):
    """May be stopped and started again: each result is counted once."""

    help = lazy("Roll up the results of health checks that were recorded before roll-ups were kept.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what it does."""
        parser.add_argument(
            "--backfill", action="store_true", help=_("roll up each result in the log that is not rolled up yet")
        )

    def handle(self, *, backfill: bool, **_options: Any) -> None:
        """Roll up check by check, in transactions of their own."""
        if not backfill:
            text = _("New results are rolled up as they are recorded; --backfill rolls up those of before.")
            raise CommandError(text, returncode=2)
        require_history()
        runtime = get_runtime()
        hold = holds(runtime.conf.max_stale, log_every(), runtime.engine.counters())
        checks = logged_checks()
        total = HealthCheckLog.objects.count()
        count = 0
        with progress(self.stderr, _("Rolling up"), total) as advance:
            for check in checks:
                count += _roll_up(check, hold(check), advance)
        text = ngettext("%(count)d result rolled up", "%(count)d results rolled up", count) % {"count": count}
        self.stdout.write(text)


def _roll_up(check: str, hold: float, advance: Any) -> int:
    return backfill(check, hold, done=advance)
