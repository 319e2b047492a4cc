"""django-q2: results in the database, tasks in it or in another broker, workers in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, router

from django_lifesigns.checks.django_q import DjangoQWorkers
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.dialect import seconds_before
from django_lifesigns.targets.queues.django_q2_redis import checks_of_redis, is_on_redis
from django_lifesigns.targets.queues.task_queue import TaskQueue

# Defaults of django-q2.
RETRY_SECONDS = 60
SAVE_LIMIT = 250
OVERDUE = "SELECT count(*) FROM django_q_schedule WHERE next_run < {since} AND repeats <> 0"


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
    # Without a router the results are in the default database, wherever the broker's table is.
    model = apps.all_models.get("django_q", {}).get("task")
    database = orm or DEFAULT_DB_ALIAS
    results = router.db_for_write(model) if model else database
    together = results == database
    # A lock ends when a retry is due.
    retry = cluster.get("retry", RETRY_SECONDS)
    taken_at = seconds_before(database, "min(q.lock)", retry if isinstance(retry, int) else RETRY_SECONDS)
    return TaskQueue(
        backend="django-q2",
        database=database,
        databases={"failed_tasks": results},
        tables=("django_q_ormq", "django_q_task") if orm else ("django_q_task",),
        # The lock of a waiting task is the time at which it was enqueued, or at which its retry is due; that of a taken
        # one lies ahead.
        pending_sql="SELECT q.key, count(*), min(q.lock) FROM django_q_ormq q WHERE q.lock <= {now} GROUP BY q.key",
        failed_sql="SELECT count(*) FROM django_q_task WHERE NOT success AND stopped >= {since}",
        taken_sql=f"SELECT count(*), {taken_at} FROM django_q_ormq q WHERE q.lock > {{now}}",
        finished_sql=_finished(cluster) if together else None,
        overdue_sql=OVERDUE if together else None,
        checks=checks,
        # With the Redis broker workers report through Redis.
        unknown=({} if shared or on_redis else alone) | ({} if orm or on_redis else {"pending_tasks": other}),
    )


def _finished(cluster: Mapping[str, Any]) -> str | None:
    """Count what has finished, unless successes are not kept; null where some of the window's are gone already."""
    limit = cluster.get("save_limit", SAVE_LIMIT)
    if not isinstance(limit, int) or limit < 0 or cluster.get("save_limit_per"):
        return None
    known = "count(*)"
    if limit:
        known = f"CASE WHEN sum(CASE WHEN success THEN 1 ELSE 0 END) >= {limit} THEN NULL ELSE count(*) END"
    return f"SELECT {known} FROM django_q_task WHERE stopped >= {{since}}"
