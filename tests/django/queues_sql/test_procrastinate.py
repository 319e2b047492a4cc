"""procrastinate: the oldest release with heartbeats, in another schema, and the newest, in another database."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.django.queues_sql.environments import Environments
from tests.django.queues_sql.project import SECONDS, TASKS, QueueProject
from tests.services import Postgres, wait_until

pytestmark = pytest.mark.services

DECORATE = """
from procrastinate.contrib.django import app
add, fail, hang = (app.task(one, queue="mail") for one in (add, fail, hang))
"""
# Jobs that finished two days ago, and two failures around the start of the window.
HISTORY = """
from django.core.management import call_command
from django.db import connections
call_command("migrate", verbosity=0, database=ALIAS)
with connections[ALIAS].cursor() as cursor:
    cursor.execute('''
        ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER;
        INSERT INTO procrastinate_jobs (queue_name, task_name, status)
        SELECT 'mail', 'x', 'succeeded' FROM generate_series(1, 50000);
        ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER;
        INSERT INTO procrastinate_events (job_id, type, at)
        SELECT id, 'succeeded', now() - interval '2 days' FROM procrastinate_jobs;
        DELETE FROM procrastinate_events WHERE id BETWEEN 1000 AND 30000;
        INSERT INTO procrastinate_events (job_id, type, at)
        SELECT 1, 'failed', now() - minutes * interval '1 minute' FROM unnest(ARRAY[61, 59]) minutes''')
"""
ENQUEUE = """
from queue_tasks import add, fail, hang
for one in (add, add, fail, hang):
    one.defer()
for _ in range(2):
    add.configure(queue="later").defer()
add.configure(queue="later", schedule_in={"days": 1}).defer()
"""
DEAD = """
from django.db import connections
with connections[ALIAS].cursor() as cursor:
    cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '10 minutes'")
    result = cursor.rowcount
"""
PLANS = """
from django.db import connections
from django_lifesigns.targets.queues.procrastinate import procrastinate
queue, plans = procrastinate(), {}
with connections[ALIAS].cursor() as cursor:
    cursor.execute("ANALYZE procrastinate_jobs; ANALYZE procrastinate_events")
    for name in ("pending_sql", "failed_sql", "scheduled_sql", "taken_sql", "finished_sql", "stuck_sql"):
        sql = getattr(queue, name).replace("{now}", "now()").replace("{since}", "(now() - interval '5 minutes')")
        cursor.execute("EXPLAIN " + sql)
        plans[name] = " ".join(line for line, in cursor.fetchall())
result = plans
"""


# Where the database's backend makes its password, the statements go through Django's own connection.
THROUGH_DJANGO = """
from django_lifesigns.checks.tasks import FailedTasks, PendingTasks, TaskWorkers
from django_lifesigns.targets.queues.procrastinate import procrastinate
from django_lifesigns.targets.queues.task_queue import FURTHER
queue, where = procrastinate(), {"database": ALIAS, "backend": "procrastinate", "tables": ()}
further = {name: {key: getattr(queue, key) for key in keys} for name, keys in FURTHER.items()}
result = {
    "pending_tasks": PendingTasks(sql=queue.pending_sql, **where, **further["pending_tasks"])(),
    "failed_tasks": FailedTasks(sql=queue.failed_sql, **where)(),
    "task_workers": TaskWorkers(sql=queue.workers_sql, **where, **further["task_workers"])(),
}
"""


@pytest.mark.parametrize("release", ["oldest", "newest"])
def test_killed_worker_leaves_stuck_job_and_stopped_worker_is_no_error_at_once(
    environments: Environments,
    new_database: Callable[[str], dict[str, Any]],
    postgres: Postgres,
    tmp_path: Path,
    release: str,
) -> None:
    database = new_database("postgres")
    databases, alias = {"default": database}, "default"
    if release == "newest":
        databases, alias = {"default": new_database("sqlite"), "jobs": database}, "jobs"
    else:
        with psycopg.connect(postgres.dsn, dbname=str(database["NAME"])) as connection:
            connection.execute("CREATE SCHEMA queue")
        database["OPTIONS"] = {"options": "-c search_path=queue"}
    (tmp_path / "queue_tasks.py").write_text(TASKS + DECORATE)
    python = environments.python(release)
    settings = {
        "PROCRASTINATE_DATABASE_ALIAS": alias,
        "PROCRASTINATE_IMPORT_PATHS": ["queue_tasks"],
    }
    with QueueProject(tmp_path, python, databases, ["procrastinate.contrib.django"], **settings) as project:
        named = f"ALIAS = {alias!r}\n"
        project.run(named + HISTORY + ENQUEUE)
        command = ("procrastinate", "worker", "--queues", "mail", "--concurrency", "1")
        worker = project.worker(*command)
        project.wait_until_hanging(worker)
        results = project.check()
        pending, workers = results["pending_tasks"], results["task_workers"]
        assert results["task_queue"]["details"]["table_count"] == 3, results
        assert "unavailable" not in str(results), results
        assert pending["status"] == "healthy", results
        assert pending["details"]["queue_breakdown"] == {"later": 2}
        assert (pending["details"]["scheduled_tasks"], pending["details"]["taken_tasks"]) == (1, 1)
        assert pending["details"]["finished_per_minute"] == 0.6
        assert pending["details"]["expected_wait_seconds"] == 200
        for name in ("oldest_pending_seconds", "oldest_taken_seconds"):
            assert 0 <= pending["details"][name] < SECONDS, results
        assert results["failed_tasks"]["details"]["failed_count_last_hour"] == 2
        assert workers["status"] == "healthy", workers
        assert (workers["details"]["active_workers"], workers["details"]["stuck_tasks"]) == (1, 0)
        assert workers["details"]["running_tasks"] == 1

        assert without_ages(project.run(named + THROUGH_DJANGO)) == without_ages(results)

        project.kill(worker)
        assert project.run(named + DEAD) == 1
        workers = project.check()["task_workers"]
        assert (workers["status"], workers["details"]["stuck_tasks"]) == ("error", 1), workers
        assert "; the last heartbeat was 60" in workers["message"], workers
        assert 600 <= workers["details"]["last_heartbeat_seconds"] < 600 + SECONDS

        # The next worker removes the dead one's row, and thereby the worker of the job.
        worker = project.worker(*command)
        wait_until(lambda: project.check()["task_workers"]["details"]["active_workers"] == 1, SECONDS)
        workers = project.check()["task_workers"]
        assert (workers["details"]["active_workers"], workers["details"]["stuck_tasks"]) == (1, 1), workers

        worker.send_signal(signal.SIGTERM)
        worker.wait(SECONDS)
        workers = project.check()["task_workers"]
        assert (workers["status"], workers["details"]["active_workers"]) == ("degraded", 0), workers
        assert workers["message"].startswith("No worker is registered any more"), workers

        plans = project.run(named + PLANS)
        assert "procrastinate_jobs_priority_idx" in plans["pending_sql"], plans
        for table in ("procrastinate_jobs", "procrastinate_events"):
            assert f"Seq Scan on {table}" not in str(plans), plans


def without_ages(results: dict[str, Any]) -> dict[str, Any]:
    """Return status and details of the checks of tasks, but for how old something is."""
    names = ("pending_tasks", "failed_tasks", "task_workers")
    details = {name: results[name]["details"].items() for name in names}
    ages = ("oldest_pending_seconds", "oldest_taken_seconds", "oldest_running_seconds", "last_heartbeat_seconds")
    return {
        name: (results[name]["status"], {key: value for key, value in details[name] if key not in ages})
        for name in names
    }
