"""`manage.py health_prune`: removes old results in batches, so that no lock is held for long."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.actions import exchange
from django_lifesigns.alerts import operations
from django_lifesigns.checks.timezones import utc
from django_lifesigns.management.base import HealthCommand, require_history
from django_lifesigns.management.terminal import progress
from django_lifesigns.models import HealthCheckLog

BATCH = 10_000
INCIDENT_DAYS = 400


class Command(HealthCommand):
    """Leaves the availability as it is: that is a sum over all time."""

    help = lazy("Remove results of health checks that are older than so many days.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the age, and whether to count only."""
        parser.add_argument("--days", type=int, default=30, help=_("how many days of history stay (30)"))
        parser.add_argument("--dry-run", action="store_true", help=_("only count the results that would be removed"))

    def handle(self, *, days: int, dry_run: bool, **_options: Any) -> None:
        """Remove the results, or count them."""
        if days < 0:
            raise CommandError(_("--days must be a number from 0, not %(days)d") % {"days": days}, returncode=2)
        try:
            since = timezone.now() - timedelta(days=days)
        except OverflowError as error:
            raise CommandError(_("--days is before the first date that there is"), returncode=2) from error
        require_history()
        old = HealthCheckLog.objects.filter(checked_at__lt=since).order_by("checked_at")
        count = old.count()
        before = f"{utc(since):%Y-%m-%d %H:%M} UTC"
        if dry_run:
            text = ngettext(
                "%(count)d result from before %(time)s would be removed",
                "%(count)d results from before %(time)s would be removed",
                count,
            )
            self.stdout.write(text % {"count": count, "time": before})
            return
        removed = 0
        with progress(self.stderr, _("Removing"), count) as advance:
            while batch := self._remove_some(old):
                removed += batch
                advance(batch)
        text = ngettext(
            "%(count)d result from before %(time)s removed", "%(count)d results from before %(time)s removed", removed
        )
        self.stdout.write(text % {"count": removed, "time": before})
        self._prune_incidents()

    def _prune_incidents(self) -> None:
        """Remove incidents, silences and runs of actions that are long over: few, and they tell of a whole year."""
        before = timezone.now() - timedelta(days=INCIDENT_DAYS)
        incidents, silences = operations.prune(before)
        runs = exchange.prune(before)
        if incidents or silences:
            text = _("over for more than %(days)d days, and removed: incidents %(incidents)d, silences %(silences)d")
            self.stdout.write(text % {"incidents": incidents, "silences": silences, "days": INCIDENT_DAYS})
        if runs:
            text = ngettext("%(count)d run of an action removed", "%(count)d runs of actions removed", runs)
            self.stdout.write(text % {"count": runs})

    def _remove_some(self, old: QuerySet[HealthCheckLog]) -> int:
        """Remove by a range of time, which the index finds, and which every database can delete by."""
        last = old.values_list("checked_at", flat=True)[BATCH - 1 : BATCH].first()
        batch = old if last is None else old.filter(checked_at__lte=last)
        return batch.order_by().delete()[0]
