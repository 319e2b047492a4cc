"""What `health_alert` does: at once by the store that this host shares, and by the tables, which every host reads."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.mirror import add_silence
from django_lifesigns.alerts.tables import Incident, Silence
from django_lifesigns.management.incidents import Known, find, in_both
from django_lifesigns.runtime.engine import Runtime
from django_lifesigns.runtime.sharing import scope
from lifesigns import Engine


@dataclass(frozen=True)
class AlertActions:
    """Acts on all processes of a project. Each action returns why the tables were not reached, empty if they were.

    Without a store that is shared, what the database raises is raised.
    """

    runtime: Runtime

    @property
    def shared(self) -> Engine | None:
        """Return the engine, if other processes have the same incidents."""
        return self.runtime.engine if self.runtime.has_alerts and scope(self.runtime.conf) else None

    def find(self) -> Known:
        """Return what is known here and in the tables."""
        return find(self.shared, self.runtime.alerts_as, time.time())

    def silence(self, row: Silence) -> str:
        """Add a silence."""
        return in_both(self.shared, lambda engine: add_silence(engine, row), lambda: row.save(force_insert=True))

    def end(self, identifier: str) -> str:
        """End a silence."""
        rows = Silence.objects.filter(pk=identifier)
        return in_both(self.shared, lambda engine: engine.expire_silence(identifier), lambda: operations.end(rows))

    def acknowledge(self, check: str, author: str, comment: str) -> str:
        """Acknowledge the open incident of a check."""
        rows = Incident.objects.filter(application=self.runtime.alerts_as, check_name=check)
        return in_both(
            self.shared,
            lambda engine: engine.acknowledge(check, author, comment),
            lambda: operations.acknowledge(rows, author, comment),
        )

    def retry(self, identifiers: Collection[str]) -> str:
        """Have what was refused or has failed of these incidents delivered again."""
        here = {found["id"] for found in self.shared.incidents()} if self.shared else set()

        def by_store(engine: Engine) -> None:
            for identifier in here.intersection(identifiers):
                engine.retry_deliveries(identifier)

        elsewhere = Incident.objects.filter(pk__in=set(identifiers) - here)
        return in_both(self.shared, by_store, lambda: operations.retry(elsewhere))
