"""The schedules that Celery beat keeps in the tables of django-celery-beat: those that are due and were not sent."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from datetime import timezone as zone
from functools import partial
from typing import Any

from django.db.models import Q
from django.utils import timezone

from django_lifesigns.checks.celery_app import application
from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.timezones import kept, utc
from lifesigns import Job

MODELS = "django_celery_beat.models"
# How many schedules one run looks at, those that were sent longest ago first.
LOOKED_AT = 1000
# How many are named.
NAMED = 5
# How long the database may take; what workers answer is awaited for less.
SECONDS = 1.0
KEPT_SECONDS = 2.0

# By window, what looks them up: a database that hangs holds one thread.
_jobs: dict[int, Job[list[str]]] = {}


def start(window_minutes: int) -> None:
    """Have the overdue schedules looked up while something else is waited for."""
    if window_minutes not in _jobs:
        function = returning_connections(partial(overdue, window_minutes))
        _jobs.setdefault(window_minutes, Job(function, timeout=SECONDS, ttl=KEPT_SECONDS, imports=(MODELS,)))
    with suppress(Exception):  # of the database or the job: `with_overdue` waits, and says why there is nothing
        _jobs[window_minutes].run(deadline=0)


def with_overdue(result: dict[str, Any], window_minutes: int) -> dict[str, Any]:
    """Return the result with the number of overdue schedules, degraded at least if there is any."""
    details = dict(result.get("details") or {})
    try:
        names = _jobs[window_minutes].run()
    except Exception as error:  # noqa: BLE001  # of the database, the package or the job: the workers are found all the same
        missing = f"the tables of django-celery-beat cannot be read ({type(error).__name__})"
        return {**result, "details": {**details, "unavailable": {"overdue_schedules": missing}}}
    result = {**result, "details": {**details, "overdue_schedules": len(names)}}
    if not names:
        return result
    shown = ", ".join(names[:NAMED]) + (" and others" if len(names) > NAMED else "")
    is_one = len(names) == 1
    text = f"{len(names)} schedule{'' if is_one else 's'} of beat {'is' if is_one else 'are'} overdue ({shown})"
    status = "error" if result["status"] == "error" else "degraded"
    return {**result, "status": status, "message": f"{result['message']}; {text}"}


def overdue(window_minutes: int) -> list[str]:
    """Return the names of the enabled schedules that were due more than so many minutes ago."""
    from django_celery_beat.models import PeriodicTask

    now = datetime.now(zone.utc)
    limit = now - timedelta(minutes=window_minutes)
    sent_before = Q(last_run_at__isnull=True) | Q(last_run_at__lt=kept(limit))
    tasks = PeriodicTask.objects.filter(sent_before, enabled=True).order_by("last_run_at", "pk")
    tasks = tasks.select_related("interval", "crontab", "solar", "clocked")
    return [str(task.name) for task in tasks[:LOOKED_AT] if _is_overdue(task, limit, now)]


def _is_overdue(task: Any, limit: datetime, now: datetime) -> bool:
    if task.one_off and task.total_run_count:
        return False
    if task.expires is not None and utc(task.expires) <= now:
        return False
    if task.start_time is not None and utc(task.start_time) > limit:
        return False
    try:
        schedule = task.schedule
        schedule.app = application()
        # One that was never sent counts from when it was made or enabled.
        last = utc(task.date_changed) if task.last_run_at is None else _sent_at(task.last_run_at)
        remaining = schedule.remaining_estimate(last.astimezone(schedule.tz))
    except Exception:  # noqa: BLE001  # of a row that beat cannot read either: without a schedule, or with a wrong one
        return False
    return bool(now + remaining < limit)


def _sent_at(at: datetime) -> datetime:
    """Return when a schedule was sent. Without `USE_TZ` that is UTC or local time, by release and settings of beat: the
    later one of both raises no false alarm."""
    return max(utc(at), at.replace(tzinfo=zone.utc)) if timezone.is_naive(at) else at
