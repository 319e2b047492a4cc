"""The workers of django-q2, as its clusters report them through the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from django_lifesigns.checks.imports import cache_modules
from django_lifesigns.checks.last_seen import signed_off
from django_lifesigns.checks.task_results import after_sign_off, workers


@dataclass(frozen=True, kw_only=True, slots=True)
class DjangoQWorkers:
    """Workers of all clusters that have reported within the last 3 seconds.

    Where none has, it is an error once none has for `heartbeat_window_minutes`, as far as this scope has looked.
    """

    expected_workers: int = 1
    heartbeat_window_minutes: int = 5

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        yield "django_q.status"
        yield from cache_modules(getattr(settings, "Q_CLUSTER", {}).get("cache", "default"))

    def __call__(self) -> dict[str, object]:
        from django_q.status import Stat

        active = sum(len(cluster.workers) for cluster in Stat.get_all())
        # The record of a cluster is gone after 3 seconds, however it ended.
        ago = signed_off("django-q2", active, 0, 60 * self.heartbeat_window_minutes)
        sign = "are in clusters that have just reported"
        window = self.heartbeat_window_minutes
        return after_sign_off(workers(active, self.expected_workers, sign, heartbeat_window_minutes=window), ago)
