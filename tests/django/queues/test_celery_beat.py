"""Celery beat: its schedules in the tables of django-celery-beat, and its heartbeat where they are in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.queues.conftest import Install
from tests.django.queues.project import QueueProject
from tests.services import Redis

pytest.importorskip("django_celery_beat")
pytestmark = pytest.mark.services

APP = """
from celery import Celery

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")

@app.task
def quick(): pass
"""
# The programs of one process share their names.
SCHEDULES = """
from datetime import timedelta
from django.core.management import call_command
from django.utils import timezone
call_command("migrate", verbosity=0)
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask
now = timezone.now()
second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
daily = CrontabSchedule.objects.create(minute="0", hour="4")
hour_ago = (now - timedelta(hours=1)).astimezone(daily.timezone)
missed = CrontabSchedule.objects.create(minute=str(hour_ago.minute), hour=str(hour_ago.hour))
past = ClockedSchedule.objects.create(clocked_time=now - timedelta(hours=1))
def make(name, last=None, **fields):
    task = PeriodicTask.objects.create(name=name, task="project.quick", **fields)
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=last, date_changed=now - timedelta(days=3))
long_ago = now - timedelta(days=2)
make("every second", now, interval=second)
"""
NOT_OVERDUE = """
make("daily, sent", now - timedelta(minutes=10), crontab=missed)
make("disabled", long_ago, interval=second, enabled=False)
make("one-off, done", long_ago, interval=second, one_off=True)
PeriodicTask.objects.filter(name="one-off, done").update(total_run_count=1)
make("expired", long_ago, interval=second, expires=now - timedelta(hours=1))
make("not yet", long_ago, interval=second, start_time=now + timedelta(hours=1))
"""
OVERDUE = """
make("daily, missed", long_ago, crontab=missed)
make("never sent", None, interval=second)
make("one-off, missed", None, clocked=past, one_off=True)
PeriodicTask.objects.filter(name="every second").update(last_run_at=now - timedelta(minutes=6))
"""
BEAT = ("-m", "celery", "-A", "project", "beat", "--loglevel", "info", "--pidfile", "", "--scheduler")
DATABASE, FILE = "django_celery_beat.schedulers:DatabaseScheduler", "celery.beat:PersistentScheduler"
RELEASES = [(), ("celery==5.3.6", "kombu==5.3.7", "redis==4.6.0", "django-celery-beat==2.5.0")]
HEARTBEAT = {"check": {"kind": "heartbeat", "name": "celery-beat", "max_age": 4}, "ttl": 0.01}


def settings(redis: Redis, **more: Any) -> dict[str, Any]:
    return {
        "USE_TZ": True,
        "INSTALLED_APPS": ["django_celery_beat"],
        "CELERY_BROKER_URL": redis.url_for(8),
        # Beat writes when it has sent something; by default it does so every 3 minutes.
        "CELERY_BEAT_SYNC_EVERY": 1,
        "LIFESIGNS": {"EXPECTED_WORKERS": 0, "CELERY_SIGNALS": True, "CHECKS": {"beat": HEARTBEAT}},
        **more,
    }


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release[-1] if release else "installed")
def test_schedules_overdue_until_beat_runs(
    redis: Redis, tmp_path: Path, install: Install, release: tuple[str, ...]
) -> None:
    with QueueProject(tmp_path, settings(redis), {"project": APP}, install(*release)) as project:
        project.do(f"import project\n{SCHEDULES}{NOT_OVERDUE}")
        workers = project.wait("task_workers", lambda details: "overdue_schedules" in details)
        assert (workers["details"]["overdue_schedules"], "overdue" in workers["message"]) == (0, False), workers

        project.do(OVERDUE)
        workers = project.wait("task_workers", lambda details: details["overdue_schedules"] == 4)
        assert workers["status"] == "degraded"
        assert "; 4 schedules of beat are overdue (" in workers["message"]
        for name in ("every second", "daily, missed", "never sent", "one-off, missed"):
            assert name in workers["message"], workers

        beat = project.start(*BEAT, DATABASE)
        workers = project.wait("task_workers", lambda details: details["overdue_schedules"] == 0, 60)
        assert "overdue" not in workers["message"], workers
        assert project.checks("beat")["beat"]["status"] == "healthy"
        project.kill(beat)
        project.wait("beat", lambda details: details["age_seconds"] > 4)
        assert project.checks("beat")["beat"]["status"] == "error"


def test_scheduler_with_a_file_sends_heartbeats(redis: Redis, tmp_path: Path) -> None:
    schedule = {"often": {"task": "project.quick", "schedule": 1.0}}
    given = settings(redis, CELERY_BEAT_SCHEDULE=schedule, CELERY_BEAT_SCHEDULER=FILE)
    with QueueProject(tmp_path, given, {"project": APP}) as project:
        project.do("import project")
        found = project.checks("task_workers", "beat")
        assert "overdue_schedules" not in found["task_workers"]["details"]
        assert found["beat"]["message"] == "celery-beat never sent a heartbeat"
        project.start(*BEAT, FILE)
        project.wait("beat", lambda details: "age_seconds" in details)
        assert project.checks("beat")["beat"]["status"] == "healthy"


def test_schedules_without_their_tables_are_unavailable(redis: Redis, tmp_path: Path) -> None:
    with QueueProject(tmp_path, settings(redis), {"project": APP}) as project:
        project.do("import project")
        workers = project.checks("task_workers")["task_workers"]
        assert "overdue" not in workers["message"]
        assert "django-celery-beat cannot be read" in workers["details"]["unavailable"]["overdue_schedules"]
