"""django-q2: results in the database, tasks in it or in another broker, workers in the cache."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from django_lifesigns.checks.django_q import DjangoQWorkers
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.django_q2_redis import checks_of_redis, is_on_redis
from django_lifesigns.targets.queues.task_queue import TaskQueue


def django_q2() -> TaskQueue:
    """django-q2: results are always in the database, tasks only with its ORM broker, workers in its cache."""
    cluster = getattr(settings, "Q_CLUSTER", {})
    if not isinstance(cluster, Mapping):
        raise WrongTargetError("Q_CLUSTER must be a dict")
    orm = cluster.get("orm")
    other = "tasks are in another broker than the database (Q_CLUSTER['orm'])"
    cache = settings.CACHES.get(cluster.get("cache", "default"), {}).get("BACKEND", "")
    shared = not cache.endswith((".LocMemCache", ".DummyCache"))
    alone = {"task_workers": "workers report through Q_CLUSTER['cache'], which is not shared between processes"}
    checks: dict[str, Check] = {"task_workers": DjangoQWorkers()}
    if on_redis := is_on_redis(cluster):
        checks |= checks_of_redis(cluster)
    return TaskQueue(
        backend="django-q2",
        database=orm or "default",
        tables=("django_q_ormq", "django_q_task") if orm else ("django_q_task",),
        # The lock of a waiting task is the time at which it was enqueued, that of a running one lies ahead.
        pending_sql="SELECT q.key, count(*), min(q.lock) FROM django_q_ormq q "
        "WHERE q.lock <= CURRENT_TIMESTAMP GROUP BY q.key",
        failed_sql="SELECT count(*) FROM django_q_task WHERE NOT success AND stopped >= {since}",
        checks=checks,
        # With the Redis broker workers report through Redis.
        unknown=({} if shared or on_redis else alone) | ({} if orm or on_redis else {"pending_tasks": other}),
    )
