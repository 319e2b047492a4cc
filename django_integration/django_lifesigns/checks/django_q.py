"""The workers of django-q2, as its clusters report them through the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from django_lifesigns.checks.imports import cache_modules
from django_lifesigns.checks.tasks import workers


@dataclass(frozen=True, kw_only=True, slots=True)
class DjangoQWorkers:
    """Workers of all clusters that have reported within the last 3 seconds."""

    expected_workers: int = 1

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        yield "django_q.status"
        yield from cache_modules(getattr(settings, "Q_CLUSTER", {}).get("cache", "default"))

    def __call__(self) -> dict[str, object]:
        from django_q.status import Stat

        active = sum(len(cluster.workers) for cluster in Stat.get_all())
        return workers(active, self.expected_workers, "are in clusters that have just reported")
