"""The workers of django-q2, as its clusters report them through the cache."""

from __future__ import annotations

from dataclasses import dataclass

from django_lifesigns.callables.tasks import workers


@dataclass(frozen=True, kw_only=True, slots=True)
class DjangoQWorkers:
    """Workers of all clusters that have reported within the last 3 seconds."""

    expected_workers: int = 1

    def __call__(self) -> dict[str, object]:
        from django_q.status import Stat

        active = sum(len(cluster.workers) for cluster in Stat.get_all())
        return workers(active, self.expected_workers, "are in clusters that have just reported")
